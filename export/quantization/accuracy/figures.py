"""Figures of an output over many samples, from pairs of batches: nothing of them is kept."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Array
from cnn_export.quantization.accuracy.output_kind import OutputKind
from cnn_export.quantization.accuracy.share import Share

SURE = 0.5
"""Above this probability no other class can be larger: the float network has decided."""

_ABOVE_CHANCE = 0.1
"""Of the way from chance to always right: labels that are met less often belong elsewhere."""


@dataclasses.dataclass(frozen=True)
class TrueClasses:
    """How often float and int8 are right, and on how many samples only one of them is."""

    fp32: Share
    int8: Share
    lost: int
    gained: int

    @property
    def loss(self) -> float:
        """The accuracy that int8 costs; negative where it gains."""
        return (self.lost - self.gained) / self.fp32.total


@dataclasses.dataclass(frozen=True)
class OutputFigures:
    """One output, int8 against fp32.

    ``agreement`` is how often both have the same largest class, ``agreement_sure`` where fp32 gives
    it more than :data:`SURE` (None: no classes, or never sure). ``cosine`` is the mean over samples
    and ``cosine_worst`` the smallest. ``snr_db`` is the power of fp32 over that of the difference,
    over all samples. ``explained`` is 1 − (difference's power) / (fp32's variance over samples):
    below 0, a constant would do better (None: fp32 does not vary). ``saturated`` is the share of
    fp32's values that int8 cannot reach (None: not asked for): calibration has not seen their like.
    """

    name: str
    kind: OutputKind
    samples: int
    agreement: Share | None
    agreement_sure: Share | None
    cosine: float
    cosine_worst: float
    snr_db: float
    explained: float | None
    true_classes: TrueClasses | None
    saturated: float | None


class OutputMeter:
    """Adds up the figures of one output, batch by batch; holds as many numbers as one sample."""

    def __init__(
        self, name: str, kind: OutputKind, limits: tuple[float, float] | None = None
    ) -> None:
        self._name = name
        self._kind: OutputKind = kind
        self._count = self._same = self._sure = self._sure_same = 0
        self._labelled = self._right = self._right_int8 = self._lost = self._gained = 0
        self._cosine_sum, self._cosine_worst = 0.0, math.inf
        self._signal = self._noise = 0.0
        self._mean: Array = np.zeros(())
        self._spread = 0.0
        self._limits, self._values, self._beyond = limits, 0, 0

    def add(self, fp32: Array, int8: Array, labels: Array | None = None) -> None:
        """Add a batch: outputs (batch, …), and the true classes (batch,) if known.

        Raises:
            InputRefused: an fp32 value is NaN or infinite: nothing can be compared with it.
            ValueError: shapes differ.
        """
        if fp32.shape != int8.shape:
            raise ValueError(f"{self._name!r}: {fp32.shape} against {int8.shape}")
        if not np.isfinite(fp32).all():
            raise InputRefused(
                f"the float network's {self._name!r} is NaN or infinite for some samples"
            )
        expected, got = (each.reshape(len(each), -1).astype(np.float64) for each in (fp32, int8))
        self._add_errors(expected, got)
        self._add_spread(expected)
        if self._kind in ("logits", "probabilities"):
            self._add_classes(expected, got, labels)
        self._count += len(expected)

    def figures(self) -> OutputFigures:
        """Return the figures so far.

        Raises:
            InputRefused: labels that the float network hardly ever meets.
            ValueError: no sample was added.
        """
        if not self._count:
            raise ValueError(f"{self._name!r}: no samples")
        classes = self._kind in ("logits", "probabilities")
        return OutputFigures(
            self._name,
            self._kind,
            self._count,
            Share(self._same, self._count) if classes else None,
            Share(self._sure_same, self._sure) if self._sure else None,
            self._cosine_sum / self._count,
            self._cosine_worst,
            self._snr_db(),
            1 - self._noise / self._spread if self._spread else None,
            self._true_classes() if self._labelled else None,
            None if self._limits is None else self._beyond / self._values,
        )

    def _snr_db(self) -> float:
        """Return the SNR: infinite where nothing differs, minus infinity of what should be 0."""
        if not self._noise:
            return math.inf
        return 10 * math.log10(self._signal / self._noise) if self._signal else -math.inf

    def _true_classes(self) -> TrueClasses:
        fp32, int8 = (Share(right, self._labelled) for right in (self._right, self._right_int8))
        chance = 1 / self._mean.size
        if fp32.value < chance + _ABOVE_CHANCE * (1 - chance):
            raise InputRefused(
                f"the float network's {self._name!r} is right on {fp32}, hardly more than chance:"
                " are the labels those of this network, in its order of classes?"
            )
        return TrueClasses(fp32, int8, self._lost, self._gained)

    def _add_errors(self, expected: Array, got: Array) -> None:
        self._signal += float((expected**2).sum())
        self._values += expected.size
        if self._limits is not None:
            low, high = self._limits
            self._beyond += int(((expected < low) | (expected > high)).sum())
        self._noise += float(((expected - got) ** 2).sum())
        for cosine in _cosines(expected, got).tolist():
            self._cosine_sum += cosine
            self._cosine_worst = min(self._cosine_worst, cosine)

    def _add_spread(self, expected: Array) -> None:
        """Join the sums of squares around the mean (Chan, Golub and LeVeque 1979)."""
        mean, count = expected.mean(0), len(expected)
        shift = mean - self._mean
        total = self._count + count
        self._spread += float(((expected - mean) ** 2).sum())
        self._spread += float((shift**2).sum()) * self._count * count / total
        self._mean = self._mean + shift * count / total

    def _add_classes(self, expected: Array, got: Array, labels: Array | None) -> None:
        wanted, found = expected.argmax(1), got.argmax(1)
        same = wanted == found
        sure = self._probabilities(expected).max(1) > SURE
        self._same += int(same.sum())
        self._sure += int(sure.sum())
        self._sure_same += int((same & sure).sum())
        if labels is not None:
            right, right_int8 = wanted == labels, found == labels
            self._labelled += len(labels)
            self._right += int(right.sum())
            self._right_int8 += int(right_int8.sum())
            self._lost += int((right & ~right_int8).sum())
            self._gained += int((right_int8 & ~right).sum())

    def _probabilities(self, scores: Array) -> Array:
        if self._kind == "probabilities":
            return scores
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


def _cosines(expected: Array, got: Array) -> Array:
    """Return the cosine of each row's angle; two zero rows are alike, one is like nothing."""
    lengths = np.linalg.norm(expected, axis=1), np.linalg.norm(got, axis=1)
    product = lengths[0] * lengths[1]
    both_zero = (lengths[0] == 0) & (lengths[1] == 0)
    cosines = (expected * got).sum(1) / np.where(product > 0, product, 1)
    return np.where(both_zero, 1.0, cosines)
