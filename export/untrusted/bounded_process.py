"""Run a reader of an untrusted file in a process of its own, within limits.

Whatever a file makes its reader do, it ends: by an answer, or by a refusal that names the limit.
The reader gets the content of files and opens none itself; it answers with JSON.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cnn_export import errors
from cnn_export.errors import ExportError, InputRefused, one_line
from cnn_export.untrusted.parent_death import PARENT

_CHILD = Path(__file__).with_name("bounded_child.py")
_MB = 2**20
_PACKAGES = ("cnn_export", "cnn_export.benchmarks", "cnn_export.models", "cnn_export.reparam")
_KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Environment that starting Python may need; the rest is none of an untrusted file's business."""


class Limits(NamedTuple):
    """What a reader may take, each beyond what Python and its imports take.

    ``memory_bytes`` of address space, ``cpu_s`` of processor time, ``answer_bytes`` of answer.
    With ``libraries`` installed packages can be imported, and files opened: some libraries import
    more while they work. Without, no file, process or connection can be opened at all.
    """

    memory_bytes: int
    cpu_s: int
    answer_bytes: int = 64 * _MB
    libraries: bool = False

    @property
    def wall_s(self) -> int:
        """Seconds to the end of a reader that waits; a busy machine needs many per CPU second."""
        return 60 + 10 * self.cpu_s


def run_reader(
    reader: str,
    arguments: Mapping[str, Any],
    *,
    path: Path,
    limits: Limits,
    descriptors: Sequence[int] = (),
    first: Sequence[str] = (),
) -> Any:
    """Return what ``reader``, written ``package.module:function``, returns.

    It is called with the content of each of ``descriptors``, read-only, in order (an ``mmap``, or
    ``b""`` where the file is empty) and with the keyword ``arguments``. These and the answer are
    values of JSON. The descriptors stay open in its process under their numbers. What it raises
    of :class:`InputRefused` is raised here, under the same class, and should name the file.
    Each of ``first``, written like ``reader``, is called without arguments before the limits are
    set: they import what the reader imports late, so that the limits are the file's alone.

    Raises:
        InputRefused: the reader's own refusal; or it took more than the limits, crashed or did not
            answer as agreed. Names ``path``.
        ExportError: the reader cannot be started, whatever the file is.
    """
    job = _job(reader, arguments, limits) | {"descriptors": list(descriptors), "first": list(first)}
    command = [sys.executable, "-I", "-S", str(_CHILD), json.dumps(job)]
    with _process(command, descriptors) as process:
        with watchdog(process.kill, path, limits):
            text = _answer(process, limits.answer_bytes)
        return judged(text, process.returncode, path, limits)


@contextlib.contextmanager
def watchdog(kill: Callable[[], None], path: Path, limits: Limits) -> Generator[None]:
    """End a reader that waits: ``kill`` is called where the body takes more than the wall time.

    Raises:
        InputRefused: it was called, after the body. Names ``path``.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        kill()

    timer = threading.Timer(limits.wall_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if late.is_set():
        raise InputRefused(f"{path} takes more than {limits.wall_s} s to read")


def _job(reader: str, arguments: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """Return what the child is told: the packages are those of this process, installed or not."""
    specs = {name: importlib.util.find_spec(name) for name in _PACKAGES}
    packages = {
        name: [spec.origin, list(spec.submodule_search_locations or ())]
        for name, spec in specs.items()
        if spec is not None
    }
    return {
        "reader": reader,
        "arguments": dict(arguments),
        "limits": limits._asdict(),
        "packages": packages,
        "paths": [p for p in sys.path if Path(p).is_absolute()] if limits.libraries else [],
    }


@contextlib.contextmanager
def _process(
    command: Sequence[str], descriptors: Sequence[int]
) -> Generator[subprocess.Popen[bytes]]:
    """Start the child in a session of its own: Ctrl-C is this process's to handle."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={**environment, "OMP_NUM_THREADS": "1", PARENT: str(os.getpid())},
            start_new_session=True,
            cwd="/",
        )
    except OSError as error:
        raise not_started(error) from error
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def not_started(error: OSError) -> ExportError:
    """Return the failure of a system that starts no further process."""
    reason = error.strerror or error
    return ExportError(f"no process can be started to read a file in ({reason}); end others first")


def _answer(process: subprocess.Popen[bytes], most: int) -> bytes:
    """Return at most ``most`` bytes and one; a child that has more to say is ended."""
    stream = process.stdout
    text = b"" if stream is None else stream.read(most + 1)
    if len(text) > most:
        process.kill()
    process.wait()
    return text


def judged(text: bytes, code: int, path: Path, limits: Limits) -> Any:
    """Return the answer that stands in ``text``, of a child that ended with ``code``.

    Raises:
        InputRefused, ExportError: as :func:`run_reader`.
    """
    if len(text) > limits.answer_bytes:
        raise InputRefused(f"{path} holds more than {limits.answer_bytes // _MB} MB of description")
    if code != 0:
        raise InputRefused(f"{path} {_ending(code, limits)}")
    try:
        kind, value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise InputRefused(f"{path} crashed its reader, which did not answer") from None
    match kind, value:
        case "answer", _:
            return value
        case "memory", _:
            raise InputRefused(f"{path} {_too_much_memory(limits)}")
        case "unready", _:
            said = one_line(ExportError(str(value)))
            raise ExportError(f"internal error: the reader of {path} does not start ({said})")
        case "refused", [str(name), str(message)]:
            raise _refusal(name)(one_line(InputRefused(message), 1000))
        case _:
            raise InputRefused(f"{path} cannot be read ({one_line(InputRefused(str(value)))})")


def _refusal(name: str) -> type[InputRefused]:
    found = getattr(errors, name, InputRefused)
    return found if isinstance(found, type) and issubclass(found, InputRefused) else InputRefused


def _ending(code: int, limits: Limits) -> str:
    if code == -signal.SIGXCPU:
        return f"takes more than {limits.cpu_s} s of CPU time to read"
    if code == -signal.SIGKILL:
        return "ended its reader: the system has no memory left for it"
    if code == -signal.SIGABRT:  # C++ has no other answer to a failed allocation
        return f"crashed its reader, which may take {limits.memory_bytes // _MB} MB of memory"
    return f"crashed its reader ({_signal(-code) if code < 0 else f'exit code {code}'})"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def _too_much_memory(limits: Limits) -> str:
    return f"takes more than {limits.memory_bytes // _MB} MB of memory to read"
