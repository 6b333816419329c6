"""The first pass over a source: each candidate is read, hashed, and left out if it is unusable.

Few unusable candidates are tolerated, and named; many mean another folder, and are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Tensors
from cnn_export.quantization.calibration.record import SkippedSample, sample_digest
from cnn_export.quantization.calibration.sample_source import SampleSource, UnusableSample

SKIPPED_SHARE_MAX = 0.01
"""Of all candidates. One broken file in a photo collection is usual, ten are a broken copy."""

SAMPLES_MIN = 8
"""Fewer different samples tell no range: the two halves of a calibration would have four each."""

_NAMED = 5


@dataclasses.dataclass(frozen=True)
class ValueSpan:
    """The smallest and the largest value that an input took over all samples."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far apart they are."""
        return self.high - self.low

    def joined(self, values: Tensors, name: str) -> ValueSpan:
        """Return the span of this one and one more sample."""
        value = values[name]
        return ValueSpan(min(self.low, float(value.min())), max(self.high, float(value.max())))


@dataclasses.dataclass(frozen=True)
class Scan:
    """What the first pass found.

    ``indices`` are the usable candidates, ``digests`` theirs, 32 bytes each, in the same order.
    ``converted`` counts images whose number of channels was changed.
    """

    indices: tuple[int, ...]
    digests: tuple[bytes, ...]
    skipped: tuple[SkippedSample, ...]
    spans: dict[str, ValueSpan]
    converted: int


def scan(place: Path | str, source: SampleSource) -> Scan:
    """Read every candidate of ``source`` once.

    Raises:
        InputRefused: more than :data:`SKIPPED_SHARE_MAX` of the candidates cannot be used, or
            fewer than :data:`SAMPLES_MIN` different samples are left; names ``place`` and them.
    """
    indices: list[int] = []
    digests: list[bytes] = []
    skipped: list[SkippedSample] = []
    spans: dict[str, ValueSpan] = {}
    converted = 0
    tolerated = SKIPPED_SHARE_MAX * source.count
    with source.reading() as read:
        for index in range(source.count):
            try:
                sample = read(index)
                _require_content(sample.inputs)
            except UnusableSample as error:
                skipped.append(SkippedSample(source.name(index), str(error)))
                # The count would be all that a longer list adds.
                if len(skipped) > tolerated and len(skipped) > _NAMED:
                    break
                continue
            indices.append(index)
            digests.append(sample_digest(sample.inputs))
            converted += sample.converted
            for name in sample.inputs:
                start = spans.get(name, ValueSpan(np.inf, -np.inf))
                spans[name] = start.joined(sample.inputs, name)
    if len(skipped) > tolerated:
        raise InputRefused(_too_many(place, skipped, len(indices), source.count))
    _require_enough(place, digests)
    return Scan(tuple(indices), tuple(digests), tuple(skipped), spans, converted)


def _require_content(inputs: Tensors) -> None:
    """Refuse a sample of which nothing varies: a black frame, a file of zeros."""
    sized = [value for value in inputs.values() if value.size > 1]
    if sized and all((value == value.flat[0]).all() for value in sized):
        raise UnusableSample("all its values are equal")


def _too_many(
    place: Path | str, skipped: Sequence[SkippedSample], usable: int, candidates: int
) -> str:
    read = usable + len(skipped)
    named = "; ".join(f"{each.name}: {each.reason}" for each in skipped[:_NAMED])
    more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    so_far = "" if read == candidates else f" (of {candidates}; reading stopped there)"
    return (
        f"{place}: {len(skipped)} of {read} samples{so_far} cannot be used, more than"
        f" {SKIPPED_SHARE_MAX:.0%}: {named}{more}; take them out or repair them"
    )


def _require_enough(place: Path | str, digests: Sequence[bytes]) -> None:
    different = len(set(digests))
    if different < SAMPLES_MIN:
        same = f" ({len(digests)}, but the rest repeat them)" if different < len(digests) else ""
        raise InputRefused(
            f"{place} holds {different} different sample{'s' * (different != 1)}{same}; ranges need"
            f" at least {SAMPLES_MIN}, and 100 or more of what the network will see are better"
        )
