"""Samples as every later step sees them: batches, as often as wanted, of constant memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Tensors
from cnn_export.quantization.calibration.record import (
    CalibrationRecord,
    SkippedSample,
    digest_of_all,
    sample_digest,
)
from cnn_export.quantization.calibration.sample_source import Reader, SampleSource, UnusableSample
from cnn_export.quantization.calibration.scan import ValueSpan

KEPT_BYTES_MAX = 128 * 2**20
"""Decoded samples kept between passes: photographs take longer to decode than to quantize."""


class SampleStore:
    """The samples of a source by index, those that fit into ``kept_bytes`` decoded once only."""

    def __init__(
        self,
        place: Path | str,
        source: SampleSource,
        digests: dict[int, bytes],
        kept_bytes: int = KEPT_BYTES_MAX,
    ) -> None:
        self.place, self.source, self.digests = place, source, digests
        self._kept: dict[int, Tensors] = {}
        self._room = kept_bytes

    def samples(self, indices: Sequence[int]) -> Iterator[Tensors]:
        """Yield the samples of ascending ``indices``; they are not to be written to.

        Raises:
            InputRefused: one is not what it was at the first pass; names it.
        """
        with self.source.reading() as read:
            for index in indices:
                yield self._kept[index] if index in self._kept else self._read(read, index)

    def _read(self, read: Reader, index: int) -> Tensors:
        try:
            inputs = read(index).inputs
        except UnusableSample as error:
            raise self._changed(index) from error
        if sample_digest(inputs) != self.digests[index]:
            raise self._changed(index)
        size = sum(value.nbytes for value in inputs.values())
        if size <= self._room:
            self._kept[index] = inputs
            self._room -= size
        return inputs

    def _changed(self, index: int) -> InputRefused:
        return InputRefused(
            f"{self.place}: {self.source.name(index)} changed while it was used; run again when"
            " nothing writes there"
        )


@dataclasses.dataclass(frozen=True)
class CalibrationData:
    """Some samples of a source, in its order.

    ``batch`` is how many make a batch; the last one may hold fewer, unless ``whole_batches``.
    ``skipped``, ``notes`` and ``spans`` (of the inputs' values) are those of the source.
    """

    store: SampleStore
    indices: tuple[int, ...]
    batch: int
    whole_batches: bool = False
    skipped: tuple[SkippedSample, ...] = ()
    notes: tuple[str, ...] = ()
    spans: Mapping[str, ValueSpan] = dataclasses.field(default_factory=dict[str, ValueSpan])

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' names, in the order of :meth:`batches`."""
        return tuple(self.store.source.name(index) for index in self.indices)

    @property
    def digests(self) -> tuple[bytes, ...]:
        """The samples' digests, in the order of :meth:`batches`."""
        return tuple(self.store.digests[index] for index in self.indices)

    @property
    def record(self) -> CalibrationRecord:
        """What is recorded of these samples."""
        source = self.store.source
        return CalibrationRecord(
            source.kind,
            len(self),
            source.order,
            digest_of_all(self.digests),
            self.skipped,
            self.notes,
        )

    def batches(self) -> Iterator[Tensors]:
        """Yield all samples, arrays (batch, …) by input name; each call starts anew.

        No more than a batch is held, beside what the store keeps.

        Raises:
            InputRefused: a sample is not what it was when it was first read; names it.
        """
        group: list[Tensors] = []
        for inputs in self.store.samples(self.indices):
            group.append(inputs)
            if len(group) == self.batch:
                yield _stacked(group)
                group = []
        if group:
            yield _stacked(group)

    def tensors(self) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the batches as tensors, in the order of the network's inputs."""
        for batch in self.batches():
            yield tuple(torch.from_numpy(value) for value in batch.values())

    def part(self, indices: Sequence[int]) -> CalibrationData:
        """Return those of the samples; ``whole_batches`` leaves out an incomplete last one."""
        chosen = sorted(indices)
        if self.whole_batches:
            chosen = chosen[: len(chosen) - len(chosen) % self.batch]
        return dataclasses.replace(self, indices=tuple(chosen))

    def first(self, count: int) -> CalibrationData:
        """Return the first ``count`` samples."""
        return self.part(self.indices[:count])


def _stacked(group: Sequence[Tensors]) -> Tensors:
    return {name: np.concatenate([inputs[name] for inputs in group]) for name in group[0]}
