"""How much may be taken from a file: FlatBuffers offsets may all point at one large vector.

A file of 16 kB can so describe operators with four million inputs, and one of a few megabytes
more than any memory holds. What is read has to be in the file once.
"""

from __future__ import annotations

_SHARES = 8
"""Items per byte that an honest file may give: writers share short vectors, readers read twice."""
_LEAST = 100_000


class ReadLimit:
    """Counts what is taken from data of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self._left = _LEAST + _SHARES * size

    def take(self, items: int) -> None:
        """Take ``items`` entries of a vector, or bytes of a text.

        Raises:
            ValueError: more was taken by now than the data can hold.
        """
        self._left -= items
        if self._left < 0:
            raise ValueError("its parts lie upon one another")
