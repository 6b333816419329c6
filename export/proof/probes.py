"""Inputs that an artifact is proven on."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from cnn_export.program.tensors import Array, Tensors, TensorSpec
from cnn_export.proof.splitmix64 import ProbeKind, probe_values

PROBE_SEED = 20210711
"""Seed of the manifest's probe; input ``i`` uses ``PROBE_SEED + i``."""

_PIXEL_LEVELS = 256

LARGE_SCALE = {
    "fp32": 32.0,
    "fp16": 4.0,
    **dict.fromkeys(("int8", "int8-weights", "int8-dynamic"), 32.0),
}
"""Standard deviation of the large probe: far outside normalized images, inside float16. In int8 it
saturates everything, which has to be the same in every runtime."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """One set of inputs, by name, in the program's NCHW layout."""

    name: str
    inputs: Tensors


def manifest_probe(
    specs: tuple[TensorSpec, ...], batch: int = 1, kind: ProbeKind = "unit"
) -> Probe:
    """Return the probe that the manifest records: SplitMix64 values in C order per input."""
    inputs: Tensors = {}
    for index, spec in enumerate(specs):
        shape = _concrete(spec, batch)
        dtype = torch.empty(0, dtype=spec.dtype).numpy().dtype
        values = probe_values(PROBE_SEED + index, math.prod(shape), dtype, kind)
        inputs[spec.name] = values.reshape(shape)
    return Probe("uniform", inputs)


def pixel_probes(specs: tuple[TensorSpec, ...], batch: int = 1) -> list[Probe]:
    """Return the normal, constant and large probes of an image input: whole pixels 0 to 255."""
    normal = {
        name: np.clip(np.round(128 + 48 * value), 0, _PIXEL_LEVELS - 1)
        for name, value in _normal(specs, batch, 1.0).items()
    }
    return [
        Probe("normal", {name: value.astype(np.float32) for name, value in normal.items()}),
        Probe("constant", _full(specs, batch, 128.0)),
        Probe("large", _full(specs, batch, 255.0)),
    ]


def standard_probes(specs: tuple[TensorSpec, ...], precision: str, batch: int = 1) -> list[Probe]:
    """Return the seeded normal, constant and large-magnitude probes."""
    scale = LARGE_SCALE[precision]
    return [
        Probe("normal", _normal(specs, batch, 1.0)),
        Probe("constant", _full(specs, batch, 0.5)),
        Probe("large", _normal(specs, batch, scale)),
    ]


def _full(specs: tuple[TensorSpec, ...], batch: int, value: float) -> Tensors:
    return {s.name: _as_dtype(np.full(_concrete(s, batch), value), s) for s in specs}


def _normal(specs: tuple[TensorSpec, ...], batch: int, scale: float) -> Tensors:
    generator = np.random.default_rng(PROBE_SEED)
    return {
        spec.name: _as_dtype(generator.standard_normal(_concrete(spec, batch)) * scale, spec)
        for spec in specs
    }


def _concrete(spec: TensorSpec, batch: int) -> tuple[int, ...]:
    return tuple(batch if size == -1 else size for size in spec.shape)


def _as_dtype(values: Array, spec: TensorSpec) -> Array:
    if spec.dtype.is_floating_point:
        return values.astype(np.float32)
    whole = np.clip(np.floor(values.astype(np.float64)), 0, 1)
    return whole.astype(torch.empty(0, dtype=spec.dtype).numpy().dtype)
