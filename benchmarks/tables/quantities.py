"""Numbers as text: always with a unit, with as many digits as they are worth."""

from __future__ import annotations

from cnn_export.benchmarks.statistics.summary import Interval

NS_PER_MS = 1e6
MILLION = 1e6
UNKNOWN = "not known"
_DIGITS = 3
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def significant(value: float, digits: int = _DIGITS) -> str:
    """Return ``value`` with at least ``digits`` significant digits and never an exponent."""
    if value == 0:
        return "0"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    leading_zeros = (
        0
        if whole
        else len(f"{abs(value):.12f}".split(".")[1].rstrip("0"))
        - len(f"{abs(value):.12f}".split(".")[1].lstrip("0").rstrip("0"))
    )
    return f"{value:.{min(12, max(0, digits - whole + leading_zeros))}f}"


def milliseconds(ns: float) -> str:
    """Return nanoseconds as milliseconds, without the unit."""
    return significant(ns / NS_PER_MS)


def interval_ms(interval: Interval) -> str:
    """Return ``low to high ms (96.9 %)``; the percentage is the true confidence."""
    if interval.confidence == 0:
        return "no interval from one process"
    low, high = (milliseconds(bound) for bound in (interval.low, interval.high))
    return f"{low} to {high} ms ({100 * interval.confidence:.1f} %)"


def quantity(value: float | None, unit: str) -> str:
    """Return ``300.8 M MACs`` for 300.8e6; ``not known`` for ``None``."""
    if value is None:
        return UNKNOWN
    scale, prefix = next((each for each in _PREFIXES if abs(value) >= each[0]), _PREFIXES[-1])
    space = "" if unit in _ATTACHED else " "
    return f"{significant(value / scale)} {prefix}{space if prefix else ''}{unit}"


_ATTACHED = ("B", "B/s", "MAC/s")
"""Units that a prefix is written onto; ``MACs`` is a count, ``M MACs``."""
