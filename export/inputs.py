"""What the network is fed while it is traced and proven: sizes, example tensors, samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from cnn_export.errors import InputRefused, UsageError
from cnn_export.probes import PROBE_SEED, Probe
from cnn_export.program import Program, TensorSpec
from cnn_export.targets.base import Array, Tensors

_SIZE = re.compile(r"^(\d+)(?:x(\d+))?$")
_MAX_ELEMENTS = 2**28
_RGB = 3


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of ``224`` or ``192x256``.

    Raises:
        UsageError: not a size.
    """
    match = _SIZE.match(text)
    if not match or "0" in match.groups():
        raise UsageError(f"--input-size {text!r} is not a size; write 224 or HEIGHTxWIDTH")
    height = int(match[1])
    return height, int(match[2] or height)


def parse_shape(text: str) -> tuple[int, ...]:
    """Return the shape of ``1x3x192x256``.

    Raises:
        UsageError: not a shape, or larger than any network input.
    """
    parts = text.split("x")
    if not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--input {text!r} is not a shape; write for example 1x3x224x224")
    shape = tuple(int(part) for part in parts)
    if np.prod(shape, dtype=np.float64) > _MAX_ELEMENTS:
        raise UsageError(f"--input {text!r} has more than {_MAX_ELEMENTS} elements")
    return shape


def example_inputs(shapes: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, ...]:
    """Return seeded standard normal float32 tensors of these shapes."""
    generator = torch.Generator().manual_seed(PROBE_SEED)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def ordered_shapes(
    shapes: Mapping[str, tuple[int, ...]], expected: Sequence[str]
) -> list[tuple[int, ...]]:
    """Return shapes given by name in the order of the network's arguments.

    Raises:
        UsageError: a name is missing or unknown.
    """
    if sorted(shapes) != sorted(expected):
        raise UsageError(
            f"--input names {sorted(shapes)} do not fit the network's inputs {list(expected)}"
        )
    return [shapes[name] for name in expected]


def sample_probe(path: Path, program: Program, normalization: str | None) -> Probe:
    """Return the user's own input as a probe: an image, ``.npy`` or ``.npz`` by input name.

    An image is resized to the input, scaled to [0, 1] and normalized as the checkpoint asks.

    Raises:
        InputRefused: the file is unreadable or does not fit the network's inputs.
    """
    try:
        inputs = _read_sample(path, program.inputs, normalization)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputRefused(f"cannot read the sample {path}: {error}") from error
    for spec in program.inputs:
        _require_fit(path, spec, inputs)
    return Probe(path.name, inputs)


def _read_sample(path: Path, specs: tuple[TensorSpec, ...], normalization: str | None) -> Tensors:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {spec.name: archive[spec.name] for spec in specs if spec.name in archive}
    if path.suffix == ".npy":
        return {specs[0].name: np.load(path, allow_pickle=False)}
    return {specs[0].name: _image(path, specs[0], normalization)}


def _image(path: Path, spec: TensorSpec, normalization: str | None) -> Array:
    from PIL import Image

    channels, height, width = spec.shape[1:]
    with Image.open(path) as image:
        converted = image.convert("RGB" if channels == _RGB else "L")
        pixels = np.asarray(converted.resize((width, height), Image.Resampling.BILINEAR))
    values = pixels.reshape(height, width, -1).transpose(2, 0, 1)[None] / 255.0
    if normalization is not None:
        mean, std = normalization_statistics(normalization)
        values = (values - np.reshape(mean, (1, -1, 1, 1))) / np.reshape(std, (1, -1, 1, 1))
    return np.ascontiguousarray(values, dtype=np.float32)


def normalization_statistics(text: str) -> tuple[list[float], list[float]]:
    """Return per-channel (mean, std) of ``imagenet`` or ``m1,m2,m3/s1,s2,s3``.

    Raises:
        UsageError: neither of the two.
    """
    if text == "imagenet":
        return [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    try:
        mean, std = ([float(v) for v in part.split(",")] for part in text.split("/"))
    except ValueError:
        raise UsageError(
            f"normalization {text!r} is neither 'imagenet' nor 'MEAN,…/STD,…'"
        ) from None
    return mean, std


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
    if not np.isfinite(value).all():
        raise InputRefused(f"the sample {path} holds NaN or infinity")
    inputs[spec.name] = np.ascontiguousarray(value, dtype=_numpy_dtype(spec))


def _numpy_dtype(spec: TensorSpec) -> np.dtype[np.generic]:
    return torch.empty(0, dtype=spec.dtype).numpy().dtype
