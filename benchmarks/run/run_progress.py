"""How far a run has come: a bar per device on a terminal's stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from cnn_export.command_line.console import notes_console, warn
from cnn_export.command_line.terminal import printable

if TYPE_CHECKING:
    from cnn_export.benchmarks.run import runner


class Screen(Protocol):
    """What is told of a run while it goes on, from any thread."""

    def report(self, at: runner.Progress) -> None:
        """Show the invocation at hand."""
        ...

    def wait(self, device: str, text: str) -> None:
        """Show what a device is waited for."""
        ...


class Silent:
    """Shows nothing."""

    def report(self, at: runner.Progress) -> None:
        """Show nothing."""

    def wait(self, device: str, text: str) -> None:
        """Show nothing."""


class Lines:
    """For files and pipes: a line where a device begins to be waited for, and no other."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()

    def report(self, at: runner.Progress) -> None:
        """Note that nothing is waited for any more."""
        self._waiting.discard(at.device)

    def wait(self, device: str, text: str) -> None:
        """Tell the first of a wait's looks."""
        if device not in self._waiting:
            self._waiting.add(device)
            warn(f"{device}: {text}")


class Bars:
    """For terminals: a bar per device, with the device's name where there are several."""

    def __init__(self, bars: Progress, *, several: Callable[[], bool]) -> None:
        self._bars = bars
        self._several = several
        self._tasks: dict[str, TaskID] = {}

    def report(self, at: runner.Progress) -> None:
        """Move the device's bar."""
        names = " and ".join(artifact.name for artifact in at.invocation.artifacts)
        text = f"{names}, {at.invocation.kind}, repeat {at.invocation.repeat + 1}"
        self._bars.update(
            self._task(at.device),
            completed=at.done,
            total=at.total,
            description=self._described(at.device, text),
        )

    def wait(self, device: str, text: str) -> None:
        """Say at the device's bar what it is waited for."""
        self._bars.update(self._task(device), description=self._described(device, text))

    def _task(self, device: str) -> TaskID:
        if device not in self._tasks:
            self._tasks[device] = self._bars.add_task("", total=None)
        return self._tasks[device]

    def _described(self, device: str, text: str) -> str:
        return escape(printable(f"{device}: {text}" if self._several() else text))


@contextlib.contextmanager
def screen(*, quiet: bool, several: Callable[[], bool]) -> Generator[Screen]:
    """Show progress inside a ``with``: bars on a terminal, lines elsewhere, or nothing."""
    if quiet:
        yield Silent()
        return
    if not sys.stderr.isatty():
        yield Lines()
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=notes_console(), transient=True) as bars:
        yield Bars(bars, several=several)
