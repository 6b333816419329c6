"""The samples of a job: read, split, and with their true classes where those are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.normalization import Normalization
from cnn_export.program.program import Program
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.calibration.labels import read_labels
from cnn_export.quantization.calibration.reading import read_calibration
from cnn_export.quantization.calibration.record import SkippedSample
from cnn_export.quantization.calibration.split import Split, halves, judging, separate, split
from cnn_export.quantization.request import QuantizationRequest


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Samples to judge by, and the true class of each (``None``: not known)."""

    data: CalibrationData
    labels: tuple[int, ...] | None

    def halves(self) -> tuple[Evaluation, Evaluation]:
        """Return two disjoint parts: what is chosen on one has to hold on the other."""
        first, second = halves(self.data)
        return self._part(first), self._part(second)

    def _part(self, data: CalibrationData) -> Evaluation:
        if self.labels is None:
            return Evaluation(data, None)
        known = dict(zip(self.data.indices, self.labels, strict=True))
        return Evaluation(data, tuple(known[index] for index in data.indices))


@dataclasses.dataclass(frozen=True)
class Samples:
    """What calibrates, and what judges."""

    parts: Split
    labels: tuple[int, ...] | None

    @property
    def evaluation(self) -> Evaluation:
        """The held-back samples."""
        return Evaluation(self.parts.held_back, self.labels)

    @property
    def judged(self) -> bool:
        """Whether real samples were held back; of noise nothing follows for real data."""
        return not self.parts.held_back.record.synthetic

    def in_batches(self, size: int) -> Samples:
        """Return the same samples, ``size`` of them together."""

        def cut(data: CalibrationData) -> CalibrationData:
            return dataclasses.replace(data, batch=size)

        parts = self.parts
        return dataclasses.replace(
            self,
            parts=dataclasses.replace(
                parts,
                calibration=cut(parts.calibration),
                held_back=cut(parts.held_back),
                halves=(cut(parts.halves[0]), cut(parts.halves[1])),
            ),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of them."""
        said = [*self.parts.calibration.record.notes]
        said += [note for note in self.parts.held_back.record.notes if note not in said]
        said += [f"left out {each.name}: {each.reason}" for each in self.skipped]
        if self.parts.repeated:
            said.append(
                f"{self.parts.repeated} evaluation samples are also calibration's: left out"
            )
        return tuple(said)

    @property
    def skipped(self) -> tuple[SkippedSample, ...]:
        """Damaged samples of either source, each once."""
        found = (*self.parts.calibration.skipped, *self.parts.held_back.skipped)
        return tuple(dict.fromkeys(found))


def read_samples(
    request: QuantizationRequest,
    program: Program,
    normalization: Normalization | None,
    *,
    pixels: bool,
    batch: int = 1,
) -> Samples:
    """Read and split the samples that a job names; ``batch`` of them go together.

    Raises:
        InputRefused: too few, damaged, or not what the network takes.
        UsageError: labels, and no single output that could hold their classes.
    """

    def read(source: Path | Literal["synthetic"]) -> CalibrationData:
        return read_calibration(source, program.inputs, normalization, pixels=pixels, batch=batch)

    parts = _parts(request, read)
    for part in (parts.calibration, parts.held_back, *parts.halves):
        if not len(part):
            raise InputRefused(
                f"{part.store.place}: a network with a batch of {batch} needs at least"
                f" {4 * batch} samples to calibrate on, and {batch} others to judge by"
            )
    if request.labels is None:
        return Samples(parts, None)
    classes = _classes(program)
    return Samples(parts, read_labels(request.labels, parts.held_back.names, classes))


def _parts(
    request: QuantizationRequest, read: Callable[[Path | Literal["synthetic"]], CalibrationData]
) -> Split:
    """Return what calibrates and what judges; without ranges to take, everything may judge."""
    data = [read(each) for each in (request.calibration, request.evaluation) if each is not None]
    if len(data) == 2:  # both kinds
        return separate(data[0], data[1])
    return split(data[0]) if request.calibrates else judging(data[0])


def _classes(program: Program) -> int:
    shapes = [spec.shape for spec in program.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise UsageError(
            "--labels need a network with one output of shape (batch, classes);"
            f" this one has {', '.join(str(list(shape)) for shape in shapes)}"
        )
    return shapes[0][1]
