"""A standard output that takes no more, such as a redirection into a full file system."""

from __future__ import annotations

import contextlib
import os
import sys


def refusal(error: OSError) -> str | None:
    """Return what to say if ``error`` came from standard output, ``None`` for any other file.

    What could not be written is dropped: it would raise once more when the interpreter ends.
    """
    if error.filename is not None or _takes_more():
        return None
    discard_rest()
    return (
        f"cannot write to standard output: {error.strerror}; files written before are kept, the "
        "rest of the text is lost: send it where there is space"
    )


def discard_rest() -> None:
    """Let whatever is still printed go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _takes_more() -> bool:
    try:
        sys.stdout.write("\n")  # a failed write may have left nothing that a flush would try again
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True
