"""Where samples come from: candidates in a fixed order, each read by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol

from cnn_export.program.tensors import Tensors

SourceKind = Literal["images", "tensors", "synthetic"]


class ReadSample(NamedTuple):
    """One sample by input name, leading axis 1; whether its image had other channels."""

    inputs: Tensors
    converted: bool = False


Reader = Callable[[int], ReadSample]
"""Reads the candidate of an index. Quick where indices ascend.

It raises ``UnusableSample`` for one that is damaged, ``InputRefused`` where the whole source is.
"""


class UnusableSample(Exception):
    """One candidate cannot be used; the text says why, and what holds it goes on without it."""


class SampleSource(Protocol):
    """Candidates in a fixed order. Every pass over them opens the source again."""

    @property
    def kind(self) -> SourceKind:
        """What the candidates are."""
        ...

    @property
    def order(self) -> str:
        """What fixes the order, for people."""
        ...

    @property
    def count(self) -> int:
        """How many candidates there are."""
        ...

    def name(self, index: int) -> str:
        """Return a candidate's name, without the folder or file that it is in."""
        ...

    def reading(self) -> AbstractContextManager[Reader]:
        """Open the source and return its reader."""
        ...
