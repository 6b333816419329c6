"""Keep vendor converters from writing on the user's terminal.

The converters log from C++ straight to file descriptors 1 and 2, so only redirecting those
descriptors silences them; ``sys.stdout`` and ``sys.stderr`` may be other files (in a notebook, in
a test) and are redirected as well. What they said is kept, for ``--debug``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Generator
from typing import IO


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
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            with _python_streams(sink), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            os.dup2(saved[0], 1)
            os.dup2(saved[1], 2)
            for descriptor in saved:
                os.close(descriptor)
            if log is not None:
                sink.seek(0)
                log.text += sink.read().decode(errors="replace")


@contextlib.contextmanager
def _python_streams(sink: IO[bytes]) -> Generator[None]:
    with (
        os.fdopen(os.dup(sink.fileno()), "w", encoding="utf-8", buffering=1) as text,
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
    ):
        yield


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):
            stream.flush()
