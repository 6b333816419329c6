"""How an artifact splits between a delegate and its runtime; needs neither torch nor a vendor."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class OutsideOp:
    """An operator of the artifact that its accelerated delegate does not take."""

    op: str
    count: int
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class PartitionReport:
    """How the artifact splits between a delegate and the runtime's own kernels."""

    delegate: str
    partitions: int
    delegated_ops: int
    outside: tuple[OutsideOp, ...] = ()
