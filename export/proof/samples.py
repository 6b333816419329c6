"""A user's own inputs as probes: images, ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import torch
from numpy.lib.format import read_array
from numpy.lib.npyio import NpzFile

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.normalization import Normalization
from cnn_export.program.program import BATCH_MAX, Program
from cnn_export.program.tensors import Array, Tensors, TensorSpec
from cnn_export.proof.probes import Probe
from cnn_export.untrusted.regular_file import opened

_IMAGE_CHANNELS = (1, 3)
_IMAGE_RANK = 4
_RGB = 3
_WHITE = 255.0
_IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""Of what Pillow opens; some other formats start programs."""
_ELEMENT_BYTES_MAX, _HEADER_BYTES_MAX = 16, 65_536
_REAL_KINDS = "biuf"
"""NumPy's letters for truth values, integers and floats."""


def sample_probe(
    path: Path, program: Program, normalization: Normalization | None, *, pixels: bool = False
) -> Probe:
    """Return the user's own input as a probe: an image, ``.npy`` or ``.npz`` by input name.

    An image is resized to the input, scaled to [0, 1] and normalized as the checkpoint asks; with
    ``pixels`` it stays whole numbers 0 to 255.

    Raises:
        InputRefused: the file is unreadable or does not fit the network's inputs.
    """
    try:
        inputs = _read_sample(path, program.inputs, None if pixels else normalization, pixels)
    except (InputRefused, UsageError):
        raise
    # Damage shows as whatever the zip, deflate, NumPy or image reader stumbles over.
    except Exception as error:
        raise InputRefused(
            f"cannot read the sample {path}: {_reason(error)}; give an image, .npy or .npz file"
        ) from error
    for spec in program.inputs:
        _require_fit(path, spec, inputs)
    return Probe(path.name, inputs)


def _read_sample(
    path: Path, specs: tuple[TensorSpec, ...], normalization: Normalization | None, pixels: bool
) -> Tensors:
    suffix = path.suffix.lower()
    with opened(path) as file:
        if suffix == ".npz":
            with NpzFile(file, allow_pickle=False) as archive:
                return _archived(path, archive, specs)
        if suffix == ".npy":
            _require_modest(path, specs[0], os.fstat(file.fileno()).st_size)
            return {specs[0].name: read_array(file, allow_pickle=False)}
        values = _image(path, file, specs[0], normalization)
    return {specs[0].name: np.round(values * _WHITE) if pixels else values}


def _archived(path: Path, archive: NpzFile, specs: tuple[TensorSpec, ...]) -> Tensors:
    """Read the arrays that are inputs; packed ones may be thousand times as large as the file."""
    found = [spec for spec in specs if spec.name in archive]
    sizes = {info.filename.removesuffix(".npy"): info.file_size for info in _members(archive)}
    for spec in found:
        _require_modest(path, spec, sizes[spec.name])
    return {spec.name: np.asarray(archive[spec.name]) for spec in found}


def _members(archive: NpzFile) -> list[zipfile.ZipInfo]:
    return cast(zipfile.ZipFile, archive.zip).infolist()


def _require_modest(path: Path, spec: TensorSpec, held_bytes: int) -> None:
    """Refuse what cannot be the input before it is read, whatever its element type."""
    elements = math.prod(BATCH_MAX if size < 0 else size for size in spec.shape)
    if held_bytes > elements * _ELEMENT_BYTES_MAX + _HEADER_BYTES_MAX:
        raise InputRefused(
            f"the sample {path} has {held_bytes:,} bytes for {spec.name!r}, more than its"
            f" {elements:,} numbers; the network takes {list(spec.shape)}"
        )


def _image(
    path: Path, file: BinaryIO, spec: TensorSpec, normalization: Normalization | None
) -> Array:
    from PIL import Image

    if len(spec.shape) != _IMAGE_RANK or spec.shape[1] not in _IMAGE_CHANNELS:
        raise InputRefused(
            f"the sample {path} is read as an image, but {spec.name!r} takes {list(spec.shape)}; "
            "give a .npy or .npz file"
        )
    channels, height, width = spec.shape[1:]
    with Image.open(file, formats=_IMAGE_FORMATS) as image:
        converted = image.convert("RGB" if channels == _RGB else "L")
        pixels = np.asarray(converted.resize((width, height), Image.Resampling.BILINEAR))
    values = pixels.reshape(height, width, -1).transpose(2, 0, 1)[None] / 255.0
    if normalization is not None:
        mean, std = (
            np.reshape(each, (1, -1, 1, 1)) for each in (normalization.mean, normalization.std)
        )
        values = (values - mean) / std
    return np.ascontiguousarray(values, dtype=np.float32)


def _require_fit(path: Path, spec: TensorSpec, inputs: Tensors) -> None:
    if spec.name not in inputs:
        raise InputRefused(f"the sample {path} has no array named {spec.name!r}")
    value = inputs[spec.name]
    fits = len(value.shape) == len(spec.shape) and all(
        want in (-1, have) for want, have in zip(spec.shape, value.shape, strict=True)
    )
    if not fits:
        raise InputRefused(
            f"the sample {path} has shape {list(value.shape)} for {spec.name!r}; "
            f"the network takes {list(spec.shape)}"
        )
    inputs[spec.name] = _converted(path, spec, value)


def _converted(path: Path, spec: TensorSpec, value: Array) -> Array:
    """Return the sample in the input's dtype, where that keeps its values."""
    if value.dtype.kind not in _REAL_KINDS:
        raise InputRefused(f"the sample {path} holds {value.dtype}, not real numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.ascontiguousarray(value, dtype=_numpy_dtype(spec))
    if not np.isfinite(result).all():
        raise InputRefused(f"the sample {path} holds NaN, infinity or more than float32 can")
    if not spec.dtype.is_floating_point and not np.array_equal(result, value):
        raise InputRefused(
            f"the sample {path} holds values that {spec.name!r}, {spec.dtype_name}, cannot take"
        )
    return result


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _numpy_dtype(spec: TensorSpec) -> np.dtype[np.generic]:
    return torch.empty(0, dtype=spec.dtype).numpy().dtype
