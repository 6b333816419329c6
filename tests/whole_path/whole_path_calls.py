"""What the whole path's tests call, and get back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Jvm(NamedTuple):
    """What runs the app's classes here."""

    classpath: str
    natives: Path


class Done(NamedTuple):
    """How a call of ``cnn-bench`` ended."""

    code: int
    out: str
    err: str


Bench = Callable[..., Done]
