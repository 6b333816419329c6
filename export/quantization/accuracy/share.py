"""A share of counted samples, and the interval that their number allows.

Wilson's score interval (Wilson 1927, "Probable inference, the law of succession, and statistical
inference"; Brown, Cai and DasGupta 2001 compare it with others): unlike p ± z·√(p(1−p)/n) it stays
in [0, 1] and says something where every sample agrees.
"""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Share:
    """``count`` of ``total`` samples; ``total`` is at least 1."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval, of :data:`CONFIDENCE`.

        (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n), z the normal quantile of both tails.
        """
        z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        p, n = self.value, self.total
        middle = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({self.count} of {self.total}; {low:.1%} to {high:.1%})"
