"""Entry point of ``cnn-export``: the one place where errors become a line and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

import click

from cnn_export.cli import command
from cnn_export.errors import ExportError

INTERRUPTED = 130
_TERMINATED = 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises, never prints a traceback.

    ``--debug`` anywhere on the line adds the traceback.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        command.main(arguments, prog_name="cnn-export", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; nothing was written", INTERRUPTED, arguments)
    except SystemExit as stop:
        return _fail("terminated; nothing was written", int(stop.code or 0), arguments)
    except click.ClickException as error:
        return _fail(error.format_message().replace("\n", " "), error.exit_code, arguments)
    except ExportError as error:
        return _fail(str(error), error.exit_code, arguments)
    except Exception as error:  # the contract: one line, whatever happens
        return _fail(
            f"internal error: {type(error).__name__}: {error} (--debug shows where)", 1, arguments
        )
    return 0


def _fail(message: str, code: int, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        sys.stderr.write(traceback.format_exc())
    sys.stderr.write(f"cnn-export: {' '.join(message.split())}\n")
    return code


def _terminate(signal_number: int, frame: FrameType | None) -> None:
    # Unwinding the stack is what removes the half-made files.
    del signal_number, frame
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
