"""The edge of a command: every failure becomes one line on stderr and an exit code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from cnn_export.command_line.standard_output import discard_rest, refusal
from cnn_export.command_line.terminal import printable
from cnn_export.errors import DestinationError, ExportError

INTERRUPTED = 130


def run_command(command: click.Command, name: str, argv: Sequence[str] | None) -> int:
    """Run ``command`` on ``argv`` (default: the process's) and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        command.main(arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # here, where a failure can be told
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail(name, "interrupted", INTERRUPTED)
    except click.ClickException as error:
        return _fail(name, error.format_message(), error.exit_code)
    except ExportError as error:
        return _fail(name, str(error), error.exit_code)
    except BrokenPipeError:  # ``| head``: nothing to talk about; click's own code
        discard_rest()
        return 1
    except OSError as error:
        refused = refusal(error)
        if refused is not None:
            return _fail(name, refused, DestinationError.exit_code)
        return _internal(name, error, arguments)
    except Exception as error:  # the contract: one line, whatever happens
        return _internal(name, error, arguments)
    return 0


def _internal(name: str, error: Exception, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        sys.stderr.write(printable(traceback.format_exc()))
    return _fail(name, f"internal error: {type(error).__name__}: {error}", 1)


def _fail(name: str, message: str, code: int) -> int:
    sys.stderr.write(f"{name}: {printable(' '.join(message.split()))}\n")
    return code
