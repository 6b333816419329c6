"""The manifest's probe for any runner: make its inputs, compare what came out.

Needs numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.fields import ProbeOutput, ProbeRecord, Tensor
from cnn_export.manifest.manifest import Manifest
from cnn_export.proof.splitmix64 import probe_values
from cnn_export.targets.onnx.runtime import takes_signed_here

Array = npt.NDArray[Any]

_VALUES_MAX = 2**28
"""Values of one input; a manifest could ask for more than a machine's memory."""
_EQUAL = 1e-12
"""Of the RMS: whole numbers that are equal differ by the rounding of a sum of squares at most."""


def probe_inputs(manifest: Manifest) -> dict[str, Array]:
    """Return the probe's inputs by name, in the artifact's own layout and dtype.

    Values are drawn in NCHW order, as the manifest says. A dynamic batch (``-1``) has
    the probe's batch size.

    Raises:
        InputRefused: an input would have more than 2**28 values.
    """
    return {
        tensor.name: _probe_input(tensor, manifest.probe, index)
        for index, tensor in enumerate(manifest.inputs)
    }


def _probe_input(tensor: Tensor, probe: ProbeRecord, index: int) -> Array:
    shape = [probe.batch if size == -1 else size for size in tensor.shape]
    if math.prod(shape) > _VALUES_MAX:
        raise InputRefused(
            f"input {tensor.name!r} of shape {shape} has more than {_VALUES_MAX} values;"
            " export it with a smaller input"
        )
    channels_last = tensor.layout == "nhwc"
    drawn = [shape[axis] for axis in (0, 3, 1, 2)] if channels_last else shape
    dtype = np.dtype(tensor.dtype)
    values = probe_values(probe.seed + index, math.prod(drawn), dtype, probe.kind).reshape(drawn)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)) if channels_last else values


def require_its_device(manifest: Manifest) -> None:
    """Refuse a file that this machine computes otherwise than the device that it is for.

    Raises:
        InputRefused: its activations are signed for ARM64, and this is another processor.
    """
    record = manifest.quantization
    if record is None or record.device_profile != "arm" or takes_signed_here():
        return
    raise InputRefused(
        f"{manifest.artifact} is for ARM64 (--device-profile arm): ONNX Runtime computes such files"
        " partly in floats on this machine, so its answers and times here are not the file's;"
        " measure it on a device, with --device adb"
    )


def require_probe_outputs(manifest: Manifest, outputs: Mapping[str, Array]) -> None:
    """Compare a run's outputs with the recorded ones: names, shapes, leading values, RMS.

    Whole numbers (classes, masks) must be equal: the next class is another answer.

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
    whole = expected.name in manifest.whole_outputs
    error, limit = _relative_error(expected, actual), _EQUAL if whole else manifest.probe.tolerance
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
