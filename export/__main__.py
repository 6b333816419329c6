"""Entry point of ``cnn-export``: the one place where errors become a line and an exit code."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import sys
import traceback
from collections.abc import Generator, Sequence
from types import FrameType

from cnn_export.atomic_commit import discard_unfinished
from cnn_export.command_line.job_trail import TRAIL
from cnn_export.command_line.standard_output import discard_rest, refusal
from cnn_export.command_line.terminal import printable
from cnn_export.errors import DestinationError, ExportError, InputRefused
from cnn_export.job.supervision import supervised

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BY_SIGNAL = 128
"""A shell's exit code of a process that a signal ended, less the signal's number."""

_NOTHING_LEFT = "no half-made file is left"
_CLEAR_LINE = "\r\x1b[2K\x1b[?25h"
"""Clears a terminal's line and shows the cursor that the progress display had hidden."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises, never prints a traceback.

    Without ``argv``, as the command itself, the job runs in a process that is watched: also one
    that crashes, is killed or calls ``os._exit`` ends with a line and an exit code.

    ``--debug`` anywhere on the line adds the traceback. SIGINT, SIGTERM and SIGHUP end the
    process with 130, 143 and 129, after everything half-made has been removed.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _tolerate_any_text()
    with _ending_on_signals():
        if argv is not None:
            return _run(arguments)
        return supervised(lambda: _run_with_trace_of_crashes(arguments), _tell)


def _run_with_trace_of_crashes(arguments: list[str]) -> int:
    if "--debug" in arguments:
        faulthandler.enable(os.dup(2))  # a job redirects the descriptor
    return _run(arguments)


def _run(arguments: list[str]) -> int:
    import click  # here, so that Ctrl-C meets the handlers while packages load

    from cnn_export.job.cli import command

    try:
        # click's own main() would read an EOFError of a job as Ctrl-C, and print a line more.
        with command.make_context("cnn-export", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()  # here, where a failure can be told
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        return _fail(f"{error.format_message()} See cnn-export --help", error.exit_code, arguments)
    except ExportError as error:
        return _fail(str(error), error.exit_code, arguments)
    except BrokenPipeError:
        return _reader_left()
    except OSError as error:
        refused = refusal(error)
        if refused is not None:
            return _fail(refused, DestinationError.exit_code, arguments)
        return _internal(error, arguments)
    except Exception as error:  # the contract: one line, whatever happens
        return _internal(error, arguments)
    except BaseException as error:
        return _fail(_raised_by_the_network(error), InputRefused.exit_code, arguments)
    return 0


def _raised_by_the_network(error: BaseException) -> str:
    """Describe what nothing of ours or the converters' raises, since signals do not raise here."""
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"the network's own code raised {said}; nothing was written (--debug shows where)"


def _internal(error: BaseException, arguments: Sequence[str]) -> int:
    text = f"internal error: {type(error).__name__}: {error} (--debug shows where)"
    return _fail(text, 1, arguments)


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        sys.stderr.write(printable(traceback.format_exc()))
    _tell(message)
    return code


def _tell(message: str) -> None:
    sys.stderr.write(f"cnn-export: {printable(' '.join(message.split()))}\n")


def _reader_left() -> int:
    """Return a shell's code for ``cnn-export … | head``, which is no failure to talk about."""
    discard_rest()  # what is still buffered would raise once more when the interpreter ends
    return _BY_SIGNAL + signal.SIGPIPE


def _tolerate_any_text() -> None:
    """Escape what a stream's encoding lacks: a file's name must not fail a finished job."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _ending_on_signals() -> Generator[None]:
    """Clean up and end the process on a signal.

    No exception: converters call Python from C++, which swallowed it (coremltools) or crashed on
    it (litert-torch). Signals that the caller has ignored (``nohup``) stay ignored.
    """
    stderr = os.dup(2)  # a job redirects the descriptor

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        for ending in _ENDING:  # Ctrl-C comes twice: from the terminal, and passed on
            signal.signal(ending, signal.SIG_IGN)
        TRAIL.end(_BY_SIGNAL + number)
        discard_unfinished()
        word = "interrupted" if number == signal.SIGINT else "terminated"
        progress_away = _CLEAR_LINE if os.isatty(stderr) else ""
        with contextlib.suppress(OSError):
            os.write(stderr, f"{progress_away}cnn-export: {word}; {_NOTHING_LEFT}\n".encode())
        os._exit(_BY_SIGNAL + number)

    previous = {number: signal.getsignal(number) for number in _ENDING}
    heeded = [n for n, handler in previous.items() if handler != signal.SIG_IGN]
    try:
        for number in heeded:
            _set_handler(number, end)
        yield
    finally:
        for number in heeded:
            _set_handler(number, previous[number])
        os.close(stderr)


def _set_handler(number: int, handler: object) -> None:
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(number, handler)  # pyright: ignore[reportArgumentType] # a handler of getsignal


if __name__ == "__main__":
    sys.exit(main())
