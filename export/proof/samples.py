"""A user's own inputs as probes: images, ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path
from typing import cast

import numpy as np
from numpy.lib.format import read_array
from numpy.lib.npyio import NpzFile

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.normalization import Normalization
from cnn_export.program.program import BATCH_MAX, Program
from cnn_export.program.tensors import Tensors, TensorSpec
from cnn_export.proof.images import image_form, read_image
from cnn_export.proof.probes import Probe
from cnn_export.proof.sample_values import converted, read_failure
from cnn_export.untrusted.regular_file import opened

_ELEMENT_BYTES_MAX, _HEADER_BYTES_MAX = 16, 65_536


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
        inputs = _read_sample(path, program.inputs, normalization, pixels)
    except (InputRefused, UsageError):
        raise
    # Damage shows as whatever the zip, deflate, NumPy or image reader stumbles over.
    except Exception as error:
        raise InputRefused(
            f"cannot read the sample {path}: {read_failure(error)};"
            " give an image, .npy or .npz file"
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
        form = image_form(path, specs[0], normalization, pixels=pixels)
        return {specs[0].name: read_image(file, form).values}


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
    inputs[spec.name] = converted(f"the sample {path}", spec, value)
