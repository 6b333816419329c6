"""The manifest's probe for any runner: make its inputs, compare what came out.

Needs numpy alone. SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) is written here a second time, because the exporter's own lives beside
torch; the Android runner holds the third copy, and all three are tested on the same values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnn_export.errors import ParityError
from cnn_export.manifest import Manifest, ProbeOutput, Tensor

Array = npt.NDArray[Any]

_GAMMA = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)
_FLOAT32_BITS = 24


def splitmix64(seed: int, count: int) -> npt.NDArray[np.uint64]:
    """Return the first ``count`` outputs of the generator started at ``seed``."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GAMMA)
        for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(multiplier)
    return z ^ (z >> np.uint64(_SHIFTS[-1]))


def probe_inputs(manifest: Manifest) -> dict[str, Array]:
    """Return the probe's inputs by name, in the artifact's own layout and dtype.

    Values are drawn in NCHW order; an integer input gets 0 or 1. A dynamic batch (``-1``) has
    the probe's batch size.
    """
    return {
        tensor.name: _probe_input(tensor, manifest.probe.seed + index, manifest.probe.batch)
        for index, tensor in enumerate(manifest.inputs)
    }


def _probe_input(tensor: Tensor, seed: int, batch: int) -> Array:
    shape = [batch if size == -1 else size for size in tensor.shape]
    channels_last = tensor.layout == "nhwc"
    drawn = [shape[axis] for axis in (0, 3, 1, 2)] if channels_last else shape
    dtype = np.dtype(tensor.dtype)
    values = _values(seed, math.prod(drawn), dtype).reshape(drawn)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if channels_last else values


def _values(seed: int, count: int, dtype: np.dtype[Any]) -> Array:
    bits = splitmix64(seed, count)
    if np.issubdtype(dtype, np.floating):
        top = (bits >> np.uint64(64 - _FLOAT32_BITS)).astype(np.float64)
        return (top / 2**_FLOAT32_BITS).astype(dtype)
    return (bits >> np.uint64(63)).astype(dtype)


def require_probe_outputs(manifest: Manifest, outputs: Mapping[str, Array]) -> None:
    """Compare a run's outputs with the recorded ones: names, shapes, leading values, RMS.

    Raises:
        ParityError: names the output, the error and the limit.
    """
    expected = [output.name for output in manifest.probe.outputs]
    if sorted(outputs) != sorted(expected):
        raise ParityError(
            f"{manifest.artifact} has outputs {sorted(outputs)}, its manifest {sorted(expected)}; "
            "export it again"
        )
    for output in manifest.probe.outputs:
        _require_output(manifest, output, outputs[output.name])


def _require_output(manifest: Manifest, expected: ProbeOutput, actual: Array) -> None:
    if list(actual.shape) != expected.shape:
        raise ParityError(
            f"{manifest.artifact}: output {expected.name!r} has shape {list(actual.shape)}, "
            f"its manifest says {expected.shape}; export it again"
        )
    error, limit = _relative_error(expected, actual), manifest.probe.tolerance
    # A NaN compares false with everything, so it must not be what passes.
    if not error <= limit:
        raise ParityError(
            f"{manifest.artifact}: output {expected.name!r} is off by {error:.2g} of its RMS on "
            f"the manifest's probe (limit {limit:.2g}); it is not timed"
        )


def _relative_error(expected: ProbeOutput, actual: Array) -> float:
    """Return the larger error of the leading values and of the RMS, in units of the RMS."""
    flat = actual.astype(np.float64).ravel()
    leading = np.abs(flat[: len(expected.values)] - np.asarray(expected.values))
    rms = math.sqrt(float(np.mean(np.square(flat)))) if flat.size else 0.0
    worst = np.append(leading, abs(rms - expected.rms)).max()
    return float(worst) / (expected.rms or 1.0)
