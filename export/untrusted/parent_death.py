"""Let a worker end with the command that started it, even one that was killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
"""Of ``linux/prctl.h``: the signal that a process gets when the thread that started it ends."""


PARENT = "CNN_EXPORT_PARENT"
"""Environment variable that tells a worker the process that started it."""


def end_with_parent(parent: int | None = None) -> None:
    """Ask the kernel for it; other systems than Linux let an orphan finish.

    An orphan would go on for as long as it was told to measure, beside the run that resumes. The
    kernel tells of no death before it was asked: then the parent is another than
    ``parent``, by default :data:`PARENT`.
    """
    wanted = os.environ.get(PARENT, "") if parent is None else str(parent)
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        # A parent outside of the process's namespace has no number there: 0.
        if wanted not in ("", str(os.getppid())) and os.getppid() != 0:
            os.kill(os.getpid(), signal.SIGKILL)
