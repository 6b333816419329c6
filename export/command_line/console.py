"""Where a command's result, its progress and its warnings go."""

from __future__ import annotations

from typing import IO, NoReturn

from rich.console import Console

from cnn_export.command_line.edge import line_of, running
from cnn_export.command_line.streams import tell

_FILE_WIDTH = 200
"""Columns of output that goes to a file or pipe, where nothing needs folding."""


class _Console(Console):
    """A console that leaves it to the edge what happens when its reader goes away."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def result_console(*, width: int = _FILE_WIDTH, soft_wrap: bool = False) -> Console:
    """Return a console on stdout; text for a file or pipe is folded at ``width`` columns only."""
    console = _Console(soft_wrap=soft_wrap)
    return console if console.is_terminal else _Console(width=width, soft_wrap=soft_wrap)


def notes_console(*, file: IO[str] | None = None, soft_wrap: bool = False) -> Console:
    """Return a console for notes and progress, on stderr or on a copy of it."""
    return _Console(stderr=True, file=file, soft_wrap=soft_wrap)


def warn(line: str) -> None:
    """Write one line to stderr, in the name of the command that runs."""
    tell(line_of(running(), line))
