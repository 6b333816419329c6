"""Entry point of ``cnn-export``: the common edge, around a job that is watched."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from cnn_export.atomic_commit import discard_unfinished
from cnn_export.command_line import signals
from cnn_export.command_line.edge import is_debug, line_of, outcome, own_if_none
from cnn_export.command_line.job_trail import TRAIL
from cnn_export.command_line.streams import prepare_streams, tell
from cnn_export.job.supervision import supervised

if TYPE_CHECKING:
    import click

_NAME = "cnn-export"
_NOTHING_LEFT = "no half-made file is left"
_CLEAR_LINE = "\r\x1b[2K\x1b[?25h"
"""Clears a terminal's line and shows the cursor that the progress display had hidden."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises, never prints a traceback.

    Without ``argv``, as the command itself, the job runs in a process that is watched: also one
    that crashes, is killed or calls ``os._exit`` ends with a line and an exit code.
    """
    arguments = own_if_none(argv)
    prepare_streams()
    with _ending_at_once() as end, signals.heeded(end):
        if argv is not None:
            return outcome(_command, _NAME, arguments)
        return supervised(
            lambda: _run_with_trace_of_crashes(arguments), lambda line: tell(line_of(_NAME, line))
        )


def _command() -> click.Command:
    """Load the command line: late, so that Ctrl-C meets the handlers while packages load."""
    from cnn_export.job.cli import command

    return command


def _run_with_trace_of_crashes(arguments: Sequence[str]) -> int:
    if is_debug(arguments):
        faulthandler.enable(os.dup(2))  # a job redirects the descriptor
    return outcome(_command, _NAME, arguments)


@contextlib.contextmanager
def _ending_at_once() -> Generator[Callable[[int], None]]:
    """Yield what cleans up and ends the process on a signal.

    No exception: converters call Python from C++, which swallowed it (coremltools) or crashed on
    it (litert-torch).
    """
    stderr = os.dup(2)  # a job redirects the descriptor

    def end(number: int) -> None:
        signals.ignore_ending()  # Ctrl-C comes twice: from the terminal, and passed on
        TRAIL.end(signals.exit_code(number))
        discard_unfinished()
        progress_away = _CLEAR_LINE if os.isatty(stderr) else ""
        line = line_of(_NAME, f"{signals.word(number)}; {_NOTHING_LEFT}")
        with contextlib.suppress(OSError):
            os.write(stderr, f"{progress_away}{line}\n".encode())
        os._exit(signals.exit_code(number))

    try:
        yield end
    finally:
        os.close(stderr)


if __name__ == "__main__":
    sys.exit(main())
