"""Inputs that an artifact is proven on, and the one that any runner can generate itself.

SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
needs nothing but 64-bit integer arithmetic, so Java and Python produce the same floats: the top
24 bits of each output, divided by 2**24, are exact in float32 and lie in [0, 1).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from cnn_export.program import TensorSpec
from cnn_export.targets.base import Array, Tensors

PROBE_SEED = 20210711
"""Seed of the manifest's probe; input ``i`` uses ``PROBE_SEED + i``."""

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_MANTISSA_BITS = 24
_PIXEL_LEVELS = 256

LARGE_SCALE = {"fp32": 32.0, "fp16": 4.0}
"""Standard deviation of the large probe: far outside normalized images, inside float16."""


@dataclasses.dataclass(frozen=True)
class Probe:
    """One set of inputs, by name, in the program's NCHW layout."""

    name: str
    inputs: Tensors


def splitmix64_uniform(seed: int, count: int) -> Array:
    """Return ``count`` float32 values in [0, 1) of the stream that starts at ``seed``."""
    with np.errstate(over="ignore"):
        steps = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(seed) + steps * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
        z = z ^ (z >> np.uint64(31))
    top = z >> np.uint64(64 - _MANTISSA_BITS)
    return (top.astype(np.float64) / 2**_MANTISSA_BITS).astype(np.float32)


def manifest_probe(specs: tuple[TensorSpec, ...], batch: int = 1, *, pixels: bool = False) -> Probe:
    """Return the probe that the manifest records: SplitMix64 values ``u`` in C order per input.

    Floating inputs hold ``u``, or the whole number ``floor(256·u)`` with ``pixels`` (an artifact
    that takes an image has no other values); integer inputs hold ``floor(2·u)``.
    """
    inputs: Tensors = {}
    for index, spec in enumerate(specs):
        shape = _concrete(spec, batch)
        values = splitmix64_uniform(PROBE_SEED + index, math.prod(shape)).reshape(shape)
        scaled = np.floor(values * _PIXEL_LEVELS) if pixels else values * _integer_range(spec)
        inputs[spec.name] = _as_dtype(scaled, spec)
    return Probe("uniform", inputs)


def pixel_probes(specs: tuple[TensorSpec, ...]) -> list[Probe]:
    """Return the normal, constant and large probes of an image input: whole pixels 0 to 255."""
    normal = {
        name: np.clip(np.round(128 + 48 * value), 0, _PIXEL_LEVELS - 1)
        for name, value in _normal(specs, 1, 1.0).items()
    }
    return [
        Probe("normal", {name: value.astype(np.float32) for name, value in normal.items()}),
        Probe("constant", {s.name: _as_dtype(np.full(s.shape, 128.0), s) for s in specs}),
        Probe("large", {s.name: _as_dtype(np.full(s.shape, 255.0), s) for s in specs}),
    ]


def standard_probes(specs: tuple[TensorSpec, ...], precision: str, batch: int = 1) -> list[Probe]:
    """Return the seeded normal, constant and large-magnitude probes."""
    scale = LARGE_SCALE[precision]
    return [
        Probe("normal", _normal(specs, batch, 1.0)),
        Probe(
            "constant",
            {s.name: _as_dtype(np.full(_concrete(s, batch), 0.5), s) for s in specs},
        ),
        Probe("large", _normal(specs, batch, scale)),
    ]


def _normal(specs: tuple[TensorSpec, ...], batch: int, scale: float) -> Tensors:
    generator = np.random.default_rng(PROBE_SEED)
    return {
        spec.name: _as_dtype(generator.standard_normal(_concrete(spec, batch)) * scale, spec)
        for spec in specs
    }


def _concrete(spec: TensorSpec, batch: int) -> tuple[int, ...]:
    return tuple(batch if size == -1 else size for size in spec.shape)


def _integer_range(spec: TensorSpec) -> float:
    # Integers (indices, masks) stay in {0, 1}, which every table and mask accepts.
    return 1.0 if spec.dtype.is_floating_point else 2.0


def _as_dtype(values: Array, spec: TensorSpec) -> Array:
    if spec.dtype.is_floating_point:
        return values.astype(np.float32)
    whole = np.clip(np.floor(values.astype(np.float64)), 0, 1)
    return whole.astype(torch.empty(0, dtype=spec.dtype).numpy().dtype)
