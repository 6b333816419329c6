"""What a tool says of an artifact, in nanoseconds, and what makes it unbelievable. Pure."""

from __future__ import annotations

import dataclasses
import math
import re
import statistics
from collections.abc import Sequence

from cnn_export.benchmarks.results.session import IncompleteRun

NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,15})?(?:e[+-]?[0-9]{1,2})?)"
"""As C++ streams write a number that is not negative: ``12``, ``1.5``, ``2.95034e+06``."""
NS_PER_US, NS_PER_MS, NS_PER_S = 1e3, 1e6, 1e9
INFERENCES_MAX = 10_000_000
_LONGEST_NS = 3600 * NS_PER_S
_ROUNDING = 1e-3
"""Tools print six digits or fewer: figures that should be equal differ by as much."""


@dataclasses.dataclass(frozen=True)
class ToolFigures:
    """A tool's figures for ``count`` inferences; ``None`` is what it does not tell.

    ``warm_up`` inferences came before and are not in ``count``; ``raw_ns`` are single inferences
    where the tool lists them.
    """

    count: int
    average_ns: float
    median_ns: float | None = None
    minimum_ns: float | None = None
    maximum_ns: float | None = None
    load_ns: float | None = None
    first_ns: float | None = None
    warm_up: int | None = None
    raw_ns: tuple[int, ...] = ()


def with_raw(found: ToolFigures, raw_ns: Sequence[float], tool: str) -> ToolFigures:
    """Return the findings with single inferences, which have to explain count and average.

    Raises:
        IncompleteRun: they do not.
    """
    if len(raw_ns) != found.count:
        raise IncompleteRun(f"{tool} lists {len(raw_ns)} of {found.count} inferences")
    if not math.isclose(statistics.fmean(raw_ns), found.average_ns, rel_tol=_ROUNDING):
        raise IncompleteRun(f"{tool}: the average is not that of its inferences")
    return dataclasses.replace(
        found,
        median_ns=statistics.median(raw_ns),
        minimum_ns=min(raw_ns),
        maximum_ns=max(raw_ns),
        raw_ns=tuple(round(ns) for ns in raw_ns),
    )


def believable(found: ToolFigures, tool: str) -> ToolFigures:
    """Return the findings if they can be times.

    Raises:
        IncompleteRun: no inference, no time, an endless one, or an order that cannot be.
    """
    if not 0 < found.count <= INFERENCES_MAX:
        raise IncompleteRun(f"{tool} reports {found.count} inferences")
    for name, value in dataclasses.asdict(found).items():
        if name.endswith("_ns") and isinstance(value, float) and not 0 <= value < _LONGEST_NS:
            raise IncompleteRun(f"{tool} reports a time of {value / NS_PER_S:g} s as {name}")
    low = found.average_ns if found.minimum_ns is None else found.minimum_ns
    high = found.average_ns if found.maximum_ns is None else found.maximum_ns
    for middle in (found.average_ns, found.median_ns):
        if middle is not None and not low * (1 - _ROUNDING) <= middle <= high * (1 + _ROUNDING):
            raise IncompleteRun(f"{tool}: the average or median is not within its extremes")
    if found.average_ns == 0:
        raise IncompleteRun(f"{tool} reports no time at all")
    return found


def only_match(pattern: str, text: str, tool: str, what: str) -> re.Match[str]:
    """Return the one match of ``pattern``.

    Raises:
        IncompleteRun: there is none, or a choice.
    """
    found = list(re.finditer(pattern, text))
    if not found:
        raise IncompleteRun(f"{tool} reports no {what}")
    if len(found) > 1:
        raise IncompleteRun(f"{tool} reports {what} {len(found)} times")
    return found[0]


def optional(pattern: str, text: str, scale: float) -> float | None:
    """Return the first match's number times ``scale``, or ``None``."""
    found = re.search(pattern, text)
    return float(found[1]) * scale if found else None
