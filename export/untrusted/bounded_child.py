"""The other side of :mod:`bounded_process`: import a reader, set the limits, answer once.

Run as a file, without ``site``: Python starts in a third of the time. Everything is imported
before the limits are set, and every file that is to be read is mapped.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import mmap
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

_ANSWER = 1
"""The descriptor of the pipe to the parent."""
_MESSAGE_LENGTH = 2000


class _Packages:
    """Finds the parent's packages where the parent found them."""

    def __init__(self, places: Mapping[str, tuple[str, list[str]]]) -> None:
        self._places = places

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where the package is, None if it is no package of the parent's."""
        del path, target
        if name not in self._places:
            return None
        origin, folders = self._places[name]
        return importlib.util.spec_from_file_location(
            name, origin, submodule_search_locations=folders
        )


def main() -> None:
    """Do the one job that stands in the first argument; ends the process."""
    job = json.loads(sys.argv[1])
    sys.path += job["paths"]
    sys.meta_path.insert(0, _Packages(job["packages"]))
    try:
        reader = _named(job["reader"])
        importlib.import_module("cnn_export.untrusted.parent_death").end_with_parent()
        failure = importlib.import_module("cnn_export.errors").ExportError
    except Exception as error:  # no fault of the file's, which nothing has looked at
        said = f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]
        send(_ANSWER, json.dumps(["unready", said]).encode("ascii"))
        os._exit(0)
    for place in job["first"]:
        with contextlib.suppress(Exception):  # the reader meets it again, and tells
            _named(place)()
    contents = [_mapped(descriptor) for descriptor in job["descriptors"]]
    gc.disable()  # a reader builds and ends: a collector would walk all of it again and again
    limit(job["limits"])
    send(_ANSWER, outcome(lambda: reader(*contents, **job["arguments"]), failure))
    os._exit(0)  # nothing is left to be done, and no code of the file's is to run on the way out


def _named(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _mapped(descriptor: int) -> mmap.mmap | bytes:
    """Return the content of an open file; mapping one duplicates the descriptor."""
    size = os.fstat(descriptor).st_size
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else b""


def outcome(read: Callable[[], Any], failure: type[Exception]) -> bytes:
    """Return what ``read`` returns or raises, as the parent understands it."""
    try:
        return json.dumps(["answer", read()]).encode("ascii")
    except MemoryError:
        return b'["memory", null]'
    except failure as error:
        said = [type(error).__name__, str(error)[:_MESSAGE_LENGTH]]
        return json.dumps(["refused", said]).encode("ascii")
    except Exception as error:  # the parent hears of every end
        said = f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]
        return json.dumps(["failed", said]).encode("ascii")


def limit(limits: Mapping[str, Any]) -> None:
    """Limit this process for good; see :class:`bounded_process.Limits`."""
    taken = _address_space()  # first: it opens a file
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(usage.ru_utime + usage.ru_stime) + 1 + limits["cpu_s"]
    # The soft limit ends the process by a signal of its own, the hard one like anything else.
    _set(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, 0)
    if not limits["libraries"]:
        _set(resource.RLIMIT_NOFILE, 0)
        _set(resource.RLIMIT_NPROC, 0)
    if taken:
        _set(resource.RLIMIT_AS, taken + limits["memory_bytes"])


def _set(kind: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit; one that is lower already stays."""
    highest = resource.getrlimit(kind)[1]
    wanted = (soft, soft if hard is None else hard)
    if highest != resource.RLIM_INFINITY:
        wanted = (min(wanted[0], highest), min(wanted[1], highest))
    with contextlib.suppress(OSError, ValueError):  # a system that does not know it
        resource.setrlimit(kind, wanted)


def _address_space() -> int:
    """Return the bytes of address space that this process has, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms to import
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def send(descriptor: int, text: bytes) -> None:
    """Write all of an answer to the parent."""
    rest = memoryview(text)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


if __name__ == "__main__":
    main()
