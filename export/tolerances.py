"""How far an artifact may be from its checkpoint: one table, each figure with its reason.

Errors are the largest absolute difference of an output from the checkpoint's float64 result,
divided by that result's root mean square over the probe.
"""

from __future__ import annotations

import dataclasses

FLOAT32_BASE = 1e-5
"""Every float32 artifact of an ordinary network (measured: 1e-6 to 5e-6, torch itself 1e-6)."""

FLOAT32_CAP = 5e-4
"""No network may need more than this in float32."""

FLOOR_MULTIPLE = 4.0
"""A runtime that sums in another order than torch errs up to about three times as much as
torch's own float32 (measured: ExecuTorch 3.6e-6 against 1.6e-6); four times is the limit."""

ROUNDOFF_RATIO = 2.0**13
"""Unit roundoff of float16 over that of float32."""


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
_FP16 = Tolerance(
    1e-2,
    5e-2,
    ROUNDOFF_RATIO,
    "float16 rounding: measured 1e-3 to 5e-3 on MobileNetV2, MobileNetV3 and ShuffleNetV2",
)

TOLERANCES: dict[tuple[str, str], Tolerance] = {
    (target, precision): tolerance
    for target in ("onnx", "tflite", "coreml", "executorch")
    for precision, tolerance in (("fp32", _FP32), ("fp16", _FP16))
}
"""(target, precision) → tolerance."""
