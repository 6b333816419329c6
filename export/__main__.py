"""Entry point of ``cnn-export``: the one place where errors become a line and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from types import FrameType

from cnn_export.errors import ExportError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
"""A shell's exit code of a process that a signal ended, less the signal's number."""


class _Ended(KeyboardInterrupt):
    """A signal asks the process to end. Libraries let a ``KeyboardInterrupt`` through."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises, never prints a traceback.

    ``--debug`` anywhere on the line adds the traceback. SIGINT, SIGTERM and SIGHUP return 130,
    143 and 129, after everything half-made has been removed.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _tolerate_any_text()
    try:
        with _unwinding_on_signals():
            return _run(arguments)
    except KeyboardInterrupt as error:
        number = error.number if isinstance(error, _Ended) else signal.SIGINT
        word = "interrupted" if number == signal.SIGINT else "terminated"
        return _fail(f"{word}; no half-made file is left", _BY_SIGNAL + number, arguments)


def _run(arguments: list[str]) -> int:
    import click  # here, so that Ctrl-C meets the handlers while packages load

    from cnn_export.cli import command

    try:
        # click's own main() would read an EOFError of a job as Ctrl-C, and print a line more.
        with command.make_context("cnn-export", list(arguments)) as context:
            command.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _fail(f"{error.format_message()} See cnn-export --help", error.exit_code, arguments)
    except ExportError as error:
        return _fail(str(error), error.exit_code, arguments)
    except BrokenPipeError:
        return _reader_left()
    except (Exception, SystemExit) as error:  # the contract: one line, whatever happens
        return _fail(
            f"internal error: {type(error).__name__}: {error} (--debug shows where)", 1, arguments
        )
    return 0


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        sys.stderr.write(traceback.format_exc())
    sys.stderr.write(f"cnn-export: {' '.join(message.split())}\n")
    return code


def _reader_left() -> int:
    """Return a shell's code for ``cnn-export … | head``, which is no failure to talk about."""
    with contextlib.suppress(OSError, ValueError):
        # What is still buffered would raise once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _BY_SIGNAL + signal.SIGPIPE


def _tolerate_any_text() -> None:
    """Escape what a stream's encoding lacks: a file's name must not fail a finished job."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _unwinding_on_signals() -> Generator[None]:
    """Turn signals into an exception: unwinding the stack removes the half-made files.

    Signals that the caller has ignored (``nohup``) stay ignored; only a main thread has handlers.
    """
    previous = {number: signal.getsignal(number) for number in _ENDING}
    heeded = [n for n, handler in previous.items() if handler != signal.SIG_IGN]
    try:
        for number in heeded:
            _set_handler(number, _raise_ended)
        yield
    finally:
        for number in heeded:
            _set_handler(number, previous[number])


def _set_handler(number: int, handler: object) -> None:
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(number, handler)  # pyright: ignore[reportArgumentType] # a handler of getsignal


def _raise_ended(number: int, frame: FrameType | None) -> None:
    del frame
    raise _Ended(number)


if __name__ == "__main__":
    sys.exit(main())
