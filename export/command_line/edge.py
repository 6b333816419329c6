"""The edge of every command: whatever ends it becomes at most one line and an exit code.

click loads inside: ``cnn-export`` forks off the process that it watches before.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cnn_export.command_line import signals
from cnn_export.command_line.streams import flush_or_discard, prepare_streams, tell
from cnn_export.command_line.terminal import printable
from cnn_export.errors import Interrupted

if TYPE_CHECKING:
    import click

_DEBUG = "--debug"
_LIBRARY = "cnn_export"
_running = [_LIBRARY]
"""Names of the commands in this process, the innermost last; all its threads speak for that one."""


def run_command(command: click.Command, name: str, argv: Sequence[str] | None = None) -> int:
    """Run a command on ``argv`` (default: the process's) and return its exit code.

    Signals unwind it as Ctrl-C does, so that it keeps and restores what it has to.
    """
    prepare_streams()
    numbers: list[int] = []

    def stop(number: int) -> None:
        numbers.append(number)
        raise signals.Stopped(number)

    with signals.heeded(stop):
        code = outcome(lambda: command, name, own_if_none(argv))
    # A job that says what it has kept ends as interrupted, whichever signal it was.
    interrupted = numbers and code == Interrupted.exit_code
    return signals.exit_code(numbers[0]) if interrupted else code


def outcome(load: Callable[[], click.Command], name: str, arguments: Sequence[str]) -> int:
    """Load and run a command, say what it raises, and return its exit code; never raises.

    ``--debug`` anywhere on the line adds the traceback.
    """
    _running.append(name)
    try:
        # click's own main() reads a job's EOFError as Ctrl-C, and ends the process by itself.
        command = load()
        _complete_if_asked(command, name)
        with command.make_context(name, _without_debug(arguments)) as context:
            context.command.invoke(context)
        sys.stdout.flush()  # here, where a failure can be told
        code = 0
    except BaseException as error:  # the contract: one line, whatever happens
        if isinstance(error, KeyboardInterrupt | Interrupted):
            signals.ignore_ending()  # a second one would interrupt what is said of the first
        code = _say(name, error, debug=is_debug(arguments))
    finally:
        _running.pop()
    flush_or_discard()
    return code


def running() -> str:
    """Return the name of the command that runs; of the package where none does."""
    return _running[-1]


def own_if_none(argv: Sequence[str] | None) -> list[str]:
    """Return ``argv``, or the arguments of this process."""
    return list(sys.argv[1:] if argv is None else argv)


def is_debug(arguments: Sequence[str]) -> bool:
    """Whether tracebacks are to be shown."""
    return _DEBUG in arguments[: _options_end(arguments)]


def line_of(name: str, message: str) -> str:
    """Return a message of the command ``name`` as the one line that a user reads."""
    return f"{name}: {printable(' '.join(message.split()))}"


def _say(name: str, error: BaseException, *, debug: bool) -> int:
    from cnn_export.command_line.failures import explained

    message, code = explained(error)
    if message is not None:
        if debug:
            tell(printable(traceback.format_exc()).rstrip("\n"))
        tell(line_of(name, message))
    return code


def _complete_if_asked(command: click.Command, name: str) -> None:
    """Answer the shell, which asks by a variable what may follow on the line."""
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    if instruction := os.environ.get(variable):
        from click.exceptions import Exit
        from click.shell_completion import shell_complete

        raise Exit(shell_complete(command, {}, name, variable, instruction))


def _without_debug(arguments: Sequence[str]) -> list[str]:
    """Leave out the option, which belongs to the edge: no subcommand needs to know it."""
    end = _options_end(arguments)
    return [each for each in arguments[:end] if each != _DEBUG] + list(arguments[end:])


def _options_end(arguments: Sequence[str]) -> int:
    """Return the index of ``--``, behind which nothing is an option."""
    return arguments.index("--") if "--" in arguments else len(arguments)
