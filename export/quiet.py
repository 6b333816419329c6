"""Keep vendor converters from writing on the user's terminal.

The converters log from C++ straight to file descriptors 1 and 2, so only redirecting those
descriptors silences them. What they said is kept, for ``--debug``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Generator


class VendorLog:
    """What the vendors printed while they were silenced, in order."""

    def __init__(self) -> None:
        self.text = ""


@contextlib.contextmanager
def quiet(log: VendorLog | None = None) -> Generator[None]:
    """Redirect descriptors 1 and 2 to a temporary file and hold Python warnings back.

    Args:
        log: receives what was printed, also when the body raises.
    """
    _flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            _flush()
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in saved:
                os.close(descriptor)
            if log is not None:
                sink.seek(0)
                log.text += sink.read().decode(errors="replace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
