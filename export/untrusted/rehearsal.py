"""Try something in a copy of this process, within limits, before it is done here.

For libraries that take seconds to import: a copy has them already. It ends with its limits, its
crash or its answer, and this process then does the same with the same bytes, or does not.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from cnn_export.command_line import signals
from cnn_export.errors import ExportError
from cnn_export.untrusted import bounded_child, parent_death
from cnn_export.untrusted.bounded_process import Limits, judged, not_started, watchdog

COPIES = sys.platform == "linux"
"""Only Linux promises that a copy of a process with threads is good for anything."""


def rehearse(work: Callable[[], Any], *, path: Path, limits: Limits) -> None:
    """Call ``work`` as :func:`in_copy` does, for its end alone; elsewhere nothing is done.

    Raises:
        InputRefused, ExportError: as :func:`in_copy`.
    """

    def silent() -> None:
        work()

    if COPIES:
        in_copy(silent, path=path, limits=limits)


def in_copy(work: Callable[[], Any], *, path: Path, limits: Limits) -> Any:
    """Return what ``work``, called in a copy of this process, returns: values of JSON.

    Only Linux promises that a copy of a process with threads is good for anything: elsewhere
    ``work`` is called in this one, without these limits.

    Raises:
        InputRefused: what ``work`` raised of it; or it took more than the limits or crashed. Names
            ``path``.
        ExportError: the system makes no copy.
    """
    if not COPIES:
        return work()
    receiver, sender = os.pipe()
    try:
        process = _copy(work, limits, (receiver, sender))
    except OSError as error:
        os.close(receiver)
        raise not_started(error) from error
    finally:
        os.close(sender)
    try:
        with (
            watchdog(functools.partial(os.kill, process, signal.SIGKILL), path, limits),
            os.fdopen(receiver, "rb") as stream,
        ):
            text = stream.read(limits.answer_bytes + 1)
    except BaseException:
        os.kill(process, signal.SIGKILL)
        raise
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return judged(text, code, path, limits)


def _copy(work: Callable[[], Any], limits: Limits, pipe: tuple[int, int]) -> int:
    """Return the copy's process id; the copy itself never returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    # The copy must not run this process's handlers, which end the job and remove its files.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads, it is known
            process = os.fork()
        if process == 0:
            _work_in_copy(work, limits, pipe, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return process


def _work_in_copy(
    work: Callable[[], Any], limits: Limits, pipe: tuple[int, int], parent: int
) -> NoReturn:
    try:
        os.setsid()
        for number in signals.ENDING:
            signal.signal(number, signal.SIG_DFL)
        os.environ[parent_death.PARENT] = str(parent)
        parent_death.end_with_parent()
        os.close(pipe[0])
        _compute_on_one_thread()
        bounded_child.limit(limits._asdict())
        bounded_child.send(pipe[1], bounded_child.outcome(work, ExportError))
        os._exit(0)
    finally:
        os._exit(1)


def _compute_on_one_thread() -> None:
    """Let torch start no work on threads: a copy has none of them, and would wait for ever."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
