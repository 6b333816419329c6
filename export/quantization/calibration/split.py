"""Which samples calibrate and which judge: never the same, also under two names.

Samples are ranked by their content's digest, so a split depends neither on names nor on their
order, and the same content is always on one side. Alike is not the same: neighbouring frames of a
video may fall on both sides; give a separate evaluation set for those.
"""

from __future__ import annotations

import dataclasses
import math

from cnn_export.errors import InputRefused, UsageError
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.calibration.plausibility import spans_apart
from cnn_export.quantization.calibration.scan import SAMPLES_MIN

HELD_BACK_SHARE = 0.25
"""Ranges settle with a few hundred samples; an agreement of 97 % needs as many to be told."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Disjoint by content: ``calibration`` (its two halves, too), and ``held_back`` to judge by.

    ``repeated`` counts evaluation samples that were left out because calibration has them.
    """

    calibration: CalibrationData
    held_back: CalibrationData
    halves: tuple[CalibrationData, CalibrationData]
    repeated: int = 0


def split(data: CalibrationData, held_back_share: float = HELD_BACK_SHARE) -> Split:
    """Hold back that share of the different samples of ``data``, and calibrate on the others.

    Raises:
        UsageError: the share leaves one side nothing.
        InputRefused: fewer than :data:`SAMPLES_MIN` different samples on one side.
    """
    if not 0 < held_back_share < 1:
        raise UsageError(f"the share held back is between 0 and 1, not {held_back_share}")
    ranked = sorted(set(data.digests))
    held_back_count = max(math.floor(len(ranked) * held_back_share), min(SAMPLES_MIN, len(ranked)))
    if len(ranked) - held_back_count < SAMPLES_MIN or held_back_count < SAMPLES_MIN:
        raise InputRefused(
            f"{data.store.place} holds {len(ranked)} different samples; {SAMPLES_MIN} to calibrate"
            f" on and {SAMPLES_MIN} to judge by are needed at least, {2 * SAMPLES_MIN} in all; or"
            " give a separate evaluation set"
        )
    held_back = frozenset(ranked[:held_back_count])
    calibration = _without(data, held_back)
    return Split(calibration, _only(data, held_back), halves(calibration))


def separate(calibration: CalibrationData, evaluation: CalibrationData) -> Split:
    """Calibrate on all of one source and judge by another, without what both hold.

    Where their values are far apart, the record of what judges has a note on it.

    Raises:
        InputRefused: fewer than :data:`SAMPLES_MIN` samples of the evaluation are its own.
    """
    shared = frozenset(calibration.digests)
    held_back = _without(evaluation, shared)
    apart = spans_apart(calibration.spans, evaluation.spans)
    held_back = dataclasses.replace(held_back, notes=(*held_back.notes, *apart))
    repeated = len(evaluation) - len(held_back)
    if len(set(held_back.digests)) < SAMPLES_MIN:
        raise InputRefused(
            f"{evaluation.store.place}: {repeated} of {len(evaluation)} samples are also in"
            f" {calibration.store.place}, and {len(held_back)} are left to judge by; at least"
            f" {SAMPLES_MIN} are needed"
        )
    return Split(calibration, held_back, halves(calibration), repeated)


def judging(data: CalibrationData) -> Split:
    """Judge by all samples, where nothing is calibrated.

    ``calibration`` then is their first half, which layers may be chosen by: the other one judges
    what was chosen.
    """
    chosen_by, _ = halves(data)
    return Split(chosen_by, data, halves(chosen_by))


def halves(data: CalibrationData) -> tuple[CalibrationData, CalibrationData]:
    """Return two parts of nearly equal size, disjoint by content."""
    first = frozenset(sorted(set(data.digests))[::2])
    return _only(data, first), _without(data, first)


def _only(data: CalibrationData, digests: frozenset[bytes]) -> CalibrationData:
    pairs = zip(data.indices, data.digests, strict=True)
    return data.part([index for index, digest in pairs if digest in digests])


def _without(data: CalibrationData, digests: frozenset[bytes]) -> CalibrationData:
    return _only(data, frozenset(data.digests) - digests)
