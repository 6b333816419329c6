"""The messages that ``android_app/README.md`` explains are messages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TABLE = (ROOT / "android_app/README.md").read_text().partition("## Troubleshooting by message")[2]
_ROWS = [line.split("|")[1] for line in _TABLE.splitlines() if line.startswith("| `")]
_PIECES = [
    piece.strip()
    for row in _ROWS
    for quoted in re.findall(r"`([^`]+)`", row)
    for piece in quoted.split("…")
    if len(piece.strip()) > 3
]


def _sources() -> str:
    """Every string of the code that may speak to a user; those over several lines in one."""
    files = [*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "android_app/src").rglob("*.java")]
    text = "\n".join(file.read_text() for file in files)
    text = re.sub(r'"\s*\+?\s*f?"', "", text)
    return re.sub(r"\{[^{}\n]*\}", "", text)


@pytest.fixture(scope="module")
def sources() -> str:
    return _sources()


@pytest.mark.parametrize("piece", _PIECES)
def test_a_message_is_in_the_code(sources: str, piece: str) -> None:
    assert " ".join(piece.split()) in " ".join(sources.split())


def test_the_table_was_read() -> None:
    assert len(_PIECES) > 25
