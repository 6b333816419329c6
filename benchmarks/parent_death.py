"""Let a worker end with the command that started it, even one that was killed."""

from __future__ import annotations

import contextlib
import ctypes
import signal

_PR_SET_PDEATHSIG = 1
"""Of ``linux/prctl.h``: the signal that a process gets when the thread that started it ends."""


def end_with_parent() -> None:
    """Ask the kernel for it; other systems than Linux let an orphan finish.

    An orphan would go on for as long as it was told to measure, beside the run that resumes.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
