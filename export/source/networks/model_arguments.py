"""``--model-arg K=V`` values: text → Python value, by reading only."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_INTEGER = re.compile(r"[+-]?\d+")


def parse_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as bool, None, int, float, JSON list or object, or else text.

    What is no text, which callers from Python give, is a value already.
    """
    return {key: parse_value(v) if isinstance(v, str) else v for key, v in given.items()}


def parse_value(text: str) -> Any:
    """Return what ``text`` spells. ``1_000``, ``nan`` and other near-numbers stay text."""
    plain = text.strip()
    if plain.lower() in _WORDS:
        return _WORDS[plain.lower()]
    try:
        if _INTEGER.fullmatch(plain):
            return int(plain)
        return json.loads(plain, parse_constant=str)
    except (ValueError, RecursionError):  # also thousands of digits or brackets
        return _fraction(plain)


def _fraction(text: str) -> float | str:
    """Read ``.5`` and ``1.``, which JSON does not know."""
    return float(text) if re.fullmatch(r"[+-]?(\d+\.\d*|\.\d+)", text) else text
