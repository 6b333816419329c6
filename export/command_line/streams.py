"""The standard streams of a command: any encoding, closed, left by their reader, or full."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import Literal, TextIO


def prepare_streams() -> None:
    """Let text be written to whatever the standard streams are.

    What a stream's encoding lacks is escaped: a name or a sign must not lose a result. A stream
    that the caller closed leads nowhere; else the next file to be opened would take its number, and
    get what is printed.
    """
    for number in (0, 1, 2):
        _open_if_closed(number)
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(line: str) -> None:
    """Write a line to stderr; where it takes none, the exit code is all that is told."""
    try:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _discard(sys.stderr)


def has_no_reader() -> bool:
    """Whether the reader of a standard stream went away, as in ``… | head``."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)  # POLLERR is reported always
    return any(event & select.POLLERR for _, event in poll.poll(0))


def refusal(error: OSError) -> str | None:
    """Return what to tell if ``error`` came from standard output, ``None`` for any other file.

    Standard output may take no more, such as a redirection into a full file system.
    """
    if error.filename is not None or _takes_more():
        return None
    return (
        f"cannot write to standard output: {error.strerror}; files written before are kept, the "
        "rest of the text is lost: send it where there is space"
    )


def flush_or_discard() -> None:
    """Let nothing fail in a standard stream when the interpreter ends, and change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _discard(stream)


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if null != number:
            os.dup2(null, number)
            os.close(null)


def _stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", closefd=False)


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere: it would raise once more when the interpreter ends."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _takes_more() -> bool:
    try:
        sys.stdout.write("\n")  # a failed write may have left nothing that a flush would try again
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True
