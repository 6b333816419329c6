"""Text of unknown origin, made safe to show on a terminal."""

from __future__ import annotations

_LAYOUT = "\n\t"


def printable(text: str) -> str:
    r"""Return ``text`` with every other than printable character escaped, e.g. as ``\x1b``.

    Checkpoints and manifests come from anyone; their names could hold terminal commands. Line
    breaks and tabs stay.
    """
    return "".join(c if c.isprintable() or c in _LAYOUT else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
