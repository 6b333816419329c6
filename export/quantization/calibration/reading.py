"""Calibration and evaluation data from what the user names: a folder, a file, or nothing real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.normalization import Normalization
from cnn_export.program.tensors import TensorSpec
from cnn_export.quantization.calibration.data import KEPT_BYTES_MAX, CalibrationData, SampleStore
from cnn_export.quantization.calibration.image_folder import ImageFolder
from cnn_export.quantization.calibration.plausibility import span_notes
from cnn_export.quantization.calibration.sample_source import SampleSource
from cnn_export.quantization.calibration.scan import Scan, scan
from cnn_export.quantization.calibration.synthetic import SyntheticSamples
from cnn_export.quantization.calibration.tensor_archive import TensorArchive
from cnn_export.untrusted.regular_file import FOLDER, kind_at

SYNTHETIC: Final = "synthetic"


def read_calibration(
    source: Path | Literal["synthetic"],
    specs: Sequence[TensorSpec],
    normalization: Normalization | None,
    *,
    pixels: bool = False,
    batch: int = 1,
    kept_bytes: int = KEPT_BYTES_MAX,
) -> CalibrationData:
    """Return the samples of a folder of images, of an ``.npz`` file, or synthetic ones.

    Every sample is read once here: what is damaged is known before anything is computed. Samples
    have a leading axis of 1 for the inputs' batch; ``batch`` of them make one, which a static
    batch of more than one fixes. ``kept_bytes`` of decoded samples stay in memory, at most.

    Raises:
        InputRefused: missing, empty, too few, damaged, or not what the inputs take; one line that
            names the source and its samples.
        UsageError: ``batch`` is not the network's.
    """
    static = _static_batch(specs)
    if batch < 1 or static not in (1, batch):
        raise UsageError(f"the network takes batches of {static}; {batch} samples are none")
    opened = _source(source, specs, normalization, pixels=pixels)
    found = scan(source, opened)
    digests = dict(zip(found.indices, found.digests, strict=True))
    notes = _notes(opened, found, normalization, pixels=pixels)
    data = CalibrationData(
        SampleStore(source, opened, digests, kept_bytes),
        found.indices,
        batch,
        static > 1,
        found.skipped,
        notes,
        found.spans,
    )
    return data.part(data.indices)


def _static_batch(specs: Sequence[TensorSpec]) -> int:
    """Return the batch that all inputs are fixed to; 1 also where it is dynamic, −1."""
    sizes = {abs(spec.shape[0]) if spec.shape else 0 for spec in specs}
    if len(sizes) != 1 or 0 in sizes:
        each = ", ".join(f"{spec.name!r} {list(spec.shape)}" for spec in specs)
        raise InputRefused(f"samples need a first axis that all inputs share; they take {each}")
    return sizes.pop()


def _source(
    source: Path | Literal["synthetic"],
    specs: Sequence[TensorSpec],
    normalization: Normalization | None,
    *,
    pixels: bool,
) -> SampleSource:
    if source == SYNTHETIC:
        return SyntheticSamples(specs, normalization, pixels=pixels)
    path = Path(source)
    kind = kind_at(path)
    if kind is None:
        raise InputRefused(f"{path} does not exist; give a folder of images or an .npz file")
    if kind == FOLDER:
        return ImageFolder(path, specs, normalization, pixels=pixels)
    if path.suffix.lower() != ".npz":
        raise InputRefused(
            f"{path} is neither a folder of images nor an .npz file; numpy.savez(FILE,"
            f" {specs[0].name}=ARRAY) writes one, samples along the first axis"
        )
    return TensorArchive(path, specs)


def _notes(
    source: SampleSource, found: Scan, normalization: Normalization | None, *, pixels: bool
) -> tuple[str, ...]:
    notes: list[str] = []
    if source.kind == "synthetic":
        notes.append("synthetic samples: ranges and accuracy are not those of data")
    if found.converted:
        notes.append(
            f"{found.converted} of {len(found.indices)} images had another number of channels and"
            " were converted (grey to three equal channels, colour to grey)"
        )
    if source.kind == "tensors":
        notes += span_notes(found.spans, normalization, pixels=pixels)
    return tuple(notes)
