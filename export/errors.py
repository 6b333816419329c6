"""Every way a job can end, each with its exit code.

One class per kind of failure; the message is one line that says what, where, and what to do.
The command line turns these into that line and that code; nothing else calls ``sys.exit``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ExportError(Exception):
    """Base of every expected failure. ``exit_code`` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class UsageError(ExportError):
    """An option, name or combination that does not exist."""

    exit_code: ClassVar[int] = 2


class ParityError(ExportError):
    """An artifact does not compute what the checkpoint computes."""

    exit_code: ClassVar[int] = 3


class AccuracyRefused(ParityError):
    """An artifact computes what was decided, but that is not what the checkpoint answers."""


class InputRefused(ExportError):
    """The checkpoint, its shape, an operator or the destination cannot be accepted."""

    exit_code: ClassVar[int] = 4


class CheckpointError(InputRefused):
    """The checkpoint is missing, damaged, unsafe, ambiguous or does not match the model."""


class OperatorRefused(InputRefused):
    """A target cannot lower, or its runtime cannot run, an operator of the program.

    ``reasons`` holds one text per reason where they are known: the operators by name and line.
    """

    def __init__(self, message: str, reasons: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.reasons = tuple(reasons)


class DestinationError(InputRefused):
    """The artifact cannot be written where it should go."""


class TargetUnavailable(ExportError):
    """A vendor package is not installed; the message holds the install line."""

    exit_code: ClassVar[int] = 5


class OverBudget(ExportError):
    """A gate's bound is exceeded, or something has become slower than allowed."""

    exit_code: ClassVar[int] = 10


class Undecided(ExportError):
    """A gate's bound is neither met nor missed: the measurement is too coarse to tell."""

    exit_code: ClassVar[int] = 11


class DeviceUnfit(ExportError):
    """A device is lost, changed since, or in no condition to be measured."""

    exit_code: ClassVar[int] = 12


class DeviceLost(DeviceUnfit):
    """The connection to a device, or the device, went away: it may come back."""


class Interrupted(ExportError):
    """The user stopped a job; the message says what is kept and how to go on."""

    exit_code: ClassVar[int] = 130


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'a' or 'b'?"`` for the nearest known names, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    if not close:
        return ""
    return f" Did you mean {' or '.join(repr(c) for c in close)}?"


def one_line(error: BaseException, width: int = 300) -> str:
    """Return an exception's text in one line of at most ``width`` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= width else text[: width - 1] + "…"
