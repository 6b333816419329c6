"""Where values stand on an axis, and where its ticks are. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LOG_STEPS = (1.0, 2.0, 5.0)
_LOG_FROM_RATIO = 8.0
"""An axis is logarithmic when its largest value is this many times its smallest."""
_DECADES_FULL = 4
"""Up to this many powers of ten, there are ticks between them."""
_MARGIN = 0.06


@dataclasses.dataclass(frozen=True)
class Axis:
    """Maps ``low … high`` onto ``start … end`` (SVG user units)."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position; a value beyond the axis is put on its end."""
        clamped = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(clamped / self.low) / math.log(self.high / self.low)
        else:
            share = (clamped - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return round values inside the axis, about ``wanted``."""
        if self.logarithmic:
            found = _log_ticks(self.low, self.high)
            return found if len(found) > 1 else _linear_ticks(self.low, self.high, wanted)
        return _linear_ticks(self.low, self.high, wanted)


def fitted(values: Iterable[float], start: float, end: float, *, from_zero: bool = False) -> Axis:
    """Return an axis around ``values`` with a margin; positive and wide ones are logarithmic.

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    finite = list(values)
    if not finite or not all(map(math.isfinite, finite)):
        raise ValueError("an axis needs finite values")
    low, high = min(finite), max(finite)
    if from_zero:
        return Axis(0.0, (high or 1.0) * (1 + _MARGIN), start, end)
    if low > 0 and high / low >= _LOG_FROM_RATIO:
        spread = (high / low) ** _MARGIN
        return Axis(low / spread, high * spread, start, end, logarithmic=True)
    margin = (high - low) * _MARGIN or abs(high) * 0.1 or 1.0
    return Axis(low - margin, high + margin, start, end)


def _linear_ticks(low: float, high: float, wanted: int) -> list[float]:
    raw = (high - low) / max(1, wanted)
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(s * magnitude for s in _STEPS if s * magnitude >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = _LOG_STEPS if len(decades) <= _DECADES_FULL else _LOG_STEPS[:1]
    ticks = (step * 10.0**decade for decade in decades for step in steps)
    return [tick for tick in ticks if low <= tick <= high]
