"""Seeded damage for files of every kind: what a disk, a network, a crash or an attacker does."""

from __future__ import annotations

import random
from collections.abc import Callable

_EXTREME_BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0\0\0", b"\xff\xff\xff\xff")


def damaged_bytes(content: bytes, seed: int) -> bytes:
    """Return ``content`` with one to four mutations; never the same as it was."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    made = content
    while made == content:
        for _ in range(dice.randint(1, 4)):
            made = dice.choice(_BYTE_MUTATIONS)(made, dice)
    return made


def damaged_lines(text: str, seed: int) -> str:
    """Return ``text`` with lines deleted, doubled, swapped or cut; never the same as it was."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    made = text
    while made == text:
        lines = made.splitlines(keepends=True)
        for _ in range(dice.randint(1, 3)):
            lines = dice.choice(_LINE_MUTATIONS)(lines, dice)
        made = "".join(lines)
    return made


def _flip_bits(content: bytes, dice: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(dice.randint(1, 8) if made else 0):
        made[dice.randrange(len(made))] ^= 1 << dice.randrange(8)
    return bytes(made)


def _truncate(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _delete_slice(content: bytes, dice: random.Random) -> bytes:
    start, end = _slice(content, dice)
    return content[:start] + content[end:]


def _double_slice(content: bytes, dice: random.Random) -> bytes:
    start, end = _slice(content, dice)
    return content[:end] + content[start:]


def _overwrite(content: bytes, dice: random.Random) -> bytes:
    extreme = dice.choice(_EXTREME_BYTES)
    start = dice.randrange(len(content) + 1)
    return content[:start] + extreme + content[start + len(extreme) :]


def _slice(content: bytes, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(content) + 1)
    return start, min(len(content), start + dice.choice((1, 4, 16, 256, 4096)))


def _delete_line(lines: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(len(lines) + 1)
    return lines[:at] + lines[at + 1 :]


def _double_line(lines: list[str], dice: random.Random) -> list[str]:
    at = dice.randrange(len(lines) + 1)
    return lines[: at + 1] + lines[at:]


def _swap_lines(lines: list[str], dice: random.Random) -> list[str]:
    made = list(lines)
    if len(made) > 1:
        one, other = dice.sample(range(len(made)), 2)
        made[one], made[other] = made[other], made[one]
    return made


def _cut_line(lines: list[str], dice: random.Random) -> list[str]:
    made = list(lines)
    if made:
        at = dice.randrange(len(made))
        made[at] = made[at][: dice.randrange(len(made[at]) + 1)]
    return made


_BYTE_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bits,
    _truncate,
    _delete_slice,
    _double_slice,
    _overwrite,
)
_LINE_MUTATIONS: tuple[Callable[[list[str], random.Random], list[str]], ...] = (
    _delete_line,
    _double_line,
    _swap_lines,
    _cut_line,
)
