"""Calibrated on two disjoint halves of the samples: do both say the same?

If a decision rests on which samples happened to be there, the figures on the held-back ones do
too. The two networks are compared like fp32 and int8 are; the tensors whose scales moved most say
where more samples, or a range less dependent on single values, would help.
"""

from __future__ import annotations

import dataclasses
import math

from cnn_export.quantization.accuracy.bounds import Bounds
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.verdict import Verdict, judge
from cnn_export.quantization.decision import Decision

_NAMED = 3


@dataclasses.dataclass(frozen=True)
class ScaleShift:
    """A tensor's scale in both decisions."""

    tensor: str
    first: float
    second: float

    @property
    def ratio(self) -> float:
        """The larger over the smaller scale: 1 is equal."""
        return max(self.first, self.second) / min(self.first, self.second)


@dataclasses.dataclass(frozen=True)
class CalibratedTwice:
    """The second half's network against the first's.

    ``shifts`` are the scales of tensors that both decisions hold, most different first;
    ``unmatched`` are int8 in one of them only.
    """

    figures: tuple[OutputFigures, ...]
    verdicts: tuple[Verdict, ...]
    shifts: tuple[ScaleShift, ...]
    unmatched: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Whether both halves lead to the same network, as far as the bounds ask."""
        return all(verdict.met for verdict in self.verdicts)

    @property
    def median_ratio(self) -> float:
        """The middle of the scales' ratios; 1 where none is shared."""
        return self.shifts[len(self.shifts) // 2].ratio if self.shifts else 1.0

    def __str__(self) -> str:
        said = "; ".join(verdict.text for verdict in self.verdicts if not verdict.met)
        moved = ", ".join(f"{each.tensor} by {each.ratio:.2f}" for each in self.shifts[:_NAMED])
        alone = ", ".join(self.unmatched[:_NAMED])
        return "; ".join(
            part
            for part in (
                said,
                moved and f"scales differ: {moved}",
                alone and f"int8 in one only: {alone}",
            )
            if part
        )


def calibrated_twice(
    first: Decision,
    second: Decision,
    figures: tuple[OutputFigures, ...],
    bounds: Bounds | None = None,
) -> CalibratedTwice:
    """Compare two decisions and the figures of their networks on held-back samples.

    ``figures`` are of ``measurement.measure`` with the first half's answers in fp32's place, and no
    labels: two calibrations may differ by no more than int8 may from fp32.
    """
    shared = first.tensors.keys() & second.tensors.keys()
    shifts = [
        ScaleShift(name, first.tensors[name].scale, second.tensors[name].scale) for name in shared
    ]
    shifts.sort(key=lambda each: (-math.log(each.ratio), each.tensor))
    unmatched = sorted(first.tensors.keys() ^ second.tensors.keys())
    return CalibratedTwice(figures, judge(figures, bounds), tuple(shifts), tuple(unmatched))
