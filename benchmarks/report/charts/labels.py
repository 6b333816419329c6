"""Names made short enough for a drawing, which unlike a table has nowhere to put the rest. Pure."""

from __future__ import annotations

from cnn_export.command_line.terminal import printable

_TAIL_LENGTH = 5


def shortened(name: str, ems: float) -> str:
    """Return ``name`` in at most ``ems`` of the font size, in the wider of usual fonts.

    Both ends stay: kinds stand at the one, numbers and file types at the other.
    """
    name = printable(name)
    if width_ems(name) <= ems:
        return name
    head, tail = name[:-_TAIL_LENGTH], name[-_TAIL_LENGTH:]
    while head and width_ems(f"{head}…{tail}") > ems:
        head = head[:-1]
    return f"{head.rstrip()}…{tail}"


def width_ems(text: str) -> float:
    """Estimate a text's width in units of the font size."""
    return sum(map(_em, text))


def _em(character: str) -> float:
    if not character.isascii() or character in "mwMW@%":
        return 1.0
    return 0.72 if character.isupper() else 0.63
