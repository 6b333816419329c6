"""Watch the job from a process that outlives it: whatever ends it, there is a line and a code.

The code of a network may call ``os._exit(0)``, a converter may crash, the system may run out of
memory: the process is gone then, and nobody in it can tell. Its parent, forked off before anything
was loaded (about 10 ms, 20 MB), passes signals on, waits, tells what happened, and settles what is
left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cnn_export.atomic_commit import remove_empty, settle
from cnn_export.atomic_commit.private_folder import private_folders
from cnn_export.command_line import signals
from cnn_export.command_line.job_trail import TRAIL
from cnn_export.errors import DestinationError, ExportError, InputRefused

_FORKS_DIE_S = 2.0
"""A fork holds the lock of the job's private folder until it is gone."""
_PAUSE_S = 0.05
_OF_A_CRASH = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


def supervised(job: Callable[[], int], tell: Callable[[str], None]) -> int:
    """Run ``job`` in a fork and return its exit code; both processes return from here.

    ``tell`` shows one line, where the job could not. Systems other than Linux run the job here.
    """
    if not sys.platform.startswith("linux"):
        return job()
    parent, before = os.getpid(), signal.pthread_sigmask(signal.SIG_BLOCK, signals.ENDING)
    try:
        child = os.fork()
    except OSError:  # no process is left to be had
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return job()
    if child == 0:
        return _watched(job, parent, before)
    with signals.heeded(lambda number: _pass_on(number, child)):
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        status = os.waitpid(child, 0)[1]
    return _outcome(os.waitstatus_to_exitcode(status), tell)


def _watched(job: Callable[[], int], parent: int, mask: set[signal.Signals | int]) -> int:
    from cnn_export.untrusted.parent_death import end_with_parent

    end_with_parent(parent)
    TRAIL.open_for_this_process()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    code = job()
    TRAIL.end(code)
    return code


def _pass_on(number: int, child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, number)


def _outcome(ending: int, tell: Callable[[str], None]) -> int:
    """Return the exit code of a job that ended with ``ending`` (a signal where negative)."""
    told = TRAIL.last("end")
    if told is not None:
        return int(told)
    step = TRAIL.last("step") or "start"
    text, code = _by_signal(-ending, step) if ending < 0 else _by_exit(ending, step)
    tell(f"{text}; {_left()}")
    return code


def _by_exit(code: int, step: str) -> tuple[str, int]:
    if _runs_the_network(step):
        text = f"the network's own code ended the process (exit code {code}) in step {step!r}"
        return f"{text}; it must return or raise", InputRefused.exit_code
    return f"{step}: ended the process (exit code {code})", ExportError.exit_code


def _by_signal(number: int, step: str) -> tuple[str, int]:
    name = signal.Signals(number).name if number in set(signal.Signals) else "a signal"
    if number in _OF_A_CRASH:
        return f"{step}: crashed (signal {number}, {name})", ExportError.exit_code
    hint = ", often because memory ran out" if number == signal.SIGKILL else ""
    return f"{step}: killed (signal {number}, {name}{hint})", signals.exit_code(number)


def _runs_the_network(step: str) -> bool:
    """Whether the network's code runs in it; the steps of a target have the target's name."""
    return ":" not in step and step not in ("start", "write")


def _left() -> str:
    """Settle the destination of the job, and return what that makes of it."""
    folder, *created = [Path(text) for text in TRAIL.last("destination") or [os.devnull]]
    try:
        completed = [note for note in _settled(folder) if "completed" in note]
    except DestinationError as error:
        return str(error)
    remove_empty(created)
    if completed or TRAIL.last("written"):
        return "its files were finished and are in place"
    return "nothing was written"


def _settled(folder: Path) -> list[str]:
    """Settle what the dead job left, also where processes that it had forked die after it."""
    notes, end = list(settle(folder)), time.monotonic() + _FORKS_DIE_S
    while next(private_folders(folder), None) is not None and time.monotonic() < end:
        time.sleep(_PAUSE_S)
        notes += settle(folder)
    return notes
