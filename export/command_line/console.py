"""Where a command's result and its warnings go."""

from __future__ import annotations

import sys

from rich.console import Console

from cnn_export.command_line.terminal import printable

_FILE_WIDTH = 200
"""Columns of output that goes to a file or pipe, where nothing needs folding."""


def result_console() -> Console:
    """Return a console on stdout; text for a file or pipe is not folded at 80 columns."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def warn(line: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"cnn-bench: {printable(' '.join(line.split()))}\n")
