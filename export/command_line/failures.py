"""What a command says of an exception that reaches its edge, and its exit code.

| ending                                 | exit code     | says       |
|----------------------------------------|---------------|------------|
| internal error                         | 1             | one line   |
| a wrong option or argument             | 2             | one line   |
| an error of :mod:`cnn_export.errors`   | its own       | one line   |
| standard output takes no more          | 4             | one line   |
| a package is missing                   | 5             | one line   |
| interrupted, hung up, terminated       | 130, 129, 143 | one line   |
| the reader of standard output left     | 141           | nothing    |
"""

from __future__ import annotations

import importlib.util
import signal

import click

from cnn_export.command_line import signals
from cnn_export.command_line.packages import missing_module
from cnn_export.command_line.streams import has_no_reader, refusal
from cnn_export.errors import DestinationError, ExportError, Interrupted, TargetUnavailable


def explained(error: BaseException) -> tuple[str | None, int]:
    """Return what is said of an exception, ``None`` for nothing, and the exit code."""
    match error:
        case click.exceptions.Exit():
            return None, error.exit_code
        case click.UsageError():
            return _usage(error), error.exit_code
        case click.ClickException():
            return error.format_message(), error.exit_code
        case ExportError():
            return str(error), error.exit_code
        case signals.Stopped():
            return str(error), signals.exit_code(error.number)
        case KeyboardInterrupt() | click.Abort():
            return signals.word(signal.SIGINT), Interrupted.exit_code
        case _:
            return _unforeseen(error)


def _usage(error: click.UsageError) -> str:
    nothing = isinstance(error, click.exceptions.NoArgsIsHelpError)  # its message is the help
    message = "Give a subcommand." if nothing else error.format_message()
    return f"{message} See {error.ctx.command_path} --help" if error.ctx else message


def _unforeseen(error: BaseException) -> tuple[str | None, int]:
    match error:
        case BrokenPipeError() if has_no_reader():
            return None, signals.exit_code(signal.SIGPIPE)
        case OSError() if (refused := refusal(error)) is not None:
            return refused, DestinationError.exit_code
        case ModuleNotFoundError(name=str(name)) if _is_missing(package := name.partition(".")[0]):
            return missing_module(package), TargetUnavailable.exit_code
        case _:
            name = type(error).__name__
            return f"internal error: {name}: {error} (--debug shows where)", ExportError.exit_code


def _is_missing(package: str) -> bool:
    """Whether a package is not installed, rather than without the module that was asked for."""
    try:
        return importlib.util.find_spec(package) is None
    except ValueError:  # it is loaded, and nothing says from where
        return False
