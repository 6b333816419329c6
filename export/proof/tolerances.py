"""How far an artifact may be from its checkpoint: one table, each figure with its reason.

Errors are the largest absolute difference of an output from the checkpoint's float64 result,
divided by that result's root mean square over the probe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from cnn_export.errors import UsageError

EXACT_MAX = 2**53
"""Up to here whole numbers are exact as floats, and the same in every reader of JSON."""

FLOAT32_BASE = 1e-5
"""Every float32 artifact of an ordinary network (measured: 1e-6 to 5e-6, torch itself 1e-6)."""

FLOAT32_CAP = 5e-4
"""No network may need more than this in float32."""

FLOOR_MULTIPLE = 4.0
"""A runtime that sums in another order than torch errs up to about three times as much as
torch's own float32 (measured: ExecuTorch 3.6e-6 against 1.6e-6); four times is the limit."""

ROUNDOFF_RATIO = 2.0**13
"""Unit roundoff of float16 over that of float32."""


ACCEPTED_MAX = 0.25
"""Of the RMS, the most that a user may accept: as much as any proof allows, in float16 on a badly
conditioned probe. Beyond it an artifact computes something else."""


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """``base`` holds for ordinary networks; ``cap`` bounds what a badly conditioned one gets."""

    base: float
    cap: float
    floor_multiple: float
    reason: str

    def limit(self, float32_floor: float) -> float:
        """Return the limit for a probe on which torch's own float32 errs by ``float32_floor``."""
        return min(max(self.base, self.floor_multiple * float32_floor), self.cap)


_FP32 = Tolerance(FLOAT32_BASE, FLOAT32_CAP, FLOOR_MULTIPLE, "float32 rounding")
_FP16_CAP = 0.25
"""Reached on badly conditioned probes only, and a damaged artifact fails on the others.

A flat image is the worst: in torchvision's ImageNet MobileNetV2 torch's own float32 then errs ten
times as much as on noise, and rounding the folded weights to float16 is alone worth 0.14 of the RMS
(in float64 arithmetic), against 0.016 on the other probes. Each probe has its own limit, from
torch's float32 error on it, and the manifest shows every figure.
"""


def _float16(base: float, measured: str) -> Tolerance:
    return Tolerance(base, _FP16_CAP, ROUNDOFF_RATIO, f"float16 rounding: measured {measured}")


# Measured at 96x64 with random weights on MobileNetV2 (width 0.35), MobileNetV3-Small, SkipNet
# (width 0.25) and ShuffleNetV2 0.5, and on the shipped trained SkipNet, which gives all maxima but
# Core ML's. TFLite computes in float32, yet is no better than ONNX: rounding the weights dominates.
_FP16 = {
    "onnx": _float16(5e-3, "6e-4 to 4e-3"),
    "tflite": _float16(5e-3, "5e-4 to 4e-3"),
    "coreml": _float16(5e-3, "7e-4 to 3e-3"),
    "executorch": _float16(1e-2, "7e-4 to 8e-3, all arithmetic in float16"),
}

_INT8 = Tolerance(
    0.0, 1.0, 0.0, "equal to the integer emulation, but for steps that float operators leave open"
)
"""What a graph leaves open is derived from it, see :mod:`cnn_export.quantization.emulation.limits`;
no step is as large as its output's RMS."""

_INT8_WEIGHTS = dataclasses.replace(
    _FP32, reason="float32 rounding, of the checkpoint with its weights rounded to int8"
)

TOLERANCES: dict[tuple[str, str], Tolerance] = {
    **{(target, "fp32"): _FP32 for target in _FP16},
    **{(target, "fp16"): tolerance for target, tolerance in _FP16.items()},
    **{(target, each): _INT8 for target in _FP16 for each in ("int8", "int8-dynamic")},
    **{(target, "int8-weights"): _INT8_WEIGHTS for target in _FP16},
}
"""(target, precision) → tolerance."""


def refuse_tolerance(
    tolerance: float, targets: Iterable[str], precision: str, *, dry_run: bool = False
) -> None:
    """Refuse an error that nobody can accept, or that is no matter of acceptance.

    Raises:
        UsageError: a dry run, which measures nothing; integers, whose equality nothing loosens;
            NaN, or a number that is not between what each target is proven to anyway and
            :data:`ACCEPTED_MAX`.
    """
    if dry_run:
        raise UsageError("--dry-run measures no error that --tolerance could accept; drop one")
    if precision in ("int8", "int8-dynamic"):
        raise UsageError(
            f"--tolerance is for floats: {precision} is proven equal to its integers, or not"
            " written; drop it"
        )
    least = max(TOLERANCES[target, precision].base for target in targets)
    if not least < tolerance <= ACCEPTED_MAX:
        raise UsageError(
            f"--tolerance {tolerance:g} is no error to accept, in units of the output's RMS: give"
            f" more than {least:g}, which is proven without it, and at most {ACCEPTED_MAX:g}"
        )
