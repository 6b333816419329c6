"""The roofline model: what bounds an operator on a device, and how fast it could be at best.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore
architectures", CACM 52(4), 2009: time ≥ max(work / peak arithmetic, traffic / peak bandwidth).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from cnn_export.benchmarks.cost.artifact_cost import OpCost

_MS_PER_S = 1e3


@dataclasses.dataclass(frozen=True)
class Peaks:
    """What a device was measured to reach with the stated kernels, in float32."""

    macs_per_s: float
    bytes_per_s: float
    threads: int
    arithmetic_kernel: str
    bandwidth_kernel: str

    @property
    def ridge_macs_per_byte(self) -> float:
        """Arithmetic intensity at which an operator is bound by both."""
        return self.macs_per_s / self.bytes_per_s


@dataclasses.dataclass(frozen=True)
class Bound:
    """The lower bound of one operator's time, and which roof it hits.

    Without a cache between operators: what stays in a cache from one to the next may be faster.
    """

    roof: Literal["compute", "memory", "none"]
    compute_ms: float | None
    memory_ms: float

    @property
    def lower_bound_ms(self) -> float:
        """The larger of both."""
        return max(self.compute_ms or 0.0, self.memory_ms)


def bound_of(op: OpCost, peaks: Peaks) -> Bound:
    """Return an operator's bound.

    The arithmetic peak is float32's. For narrower elements, whose peak is another, and for
    unknown operators ``compute_ms`` is ``None`` and only memory bounds.
    """
    known = op.macs is not None and (op.dtype == "float32" or op.macs == 0)
    compute_ms = (op.macs or 0) / peaks.macs_per_s * _MS_PER_S if known else None
    memory_ms = op.mac_bytes / peaks.bytes_per_s * _MS_PER_S
    if not compute_ms and not memory_ms:
        return Bound("none", compute_ms, memory_ms)
    roof = "compute" if (compute_ms or 0.0) > memory_ms else "memory"
    return Bound(roof, compute_ms, memory_ms)
