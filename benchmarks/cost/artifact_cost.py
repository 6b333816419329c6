"""The cost of an artifact: per operator and in total."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from cnn_export.artifact_files.op_graph import Category

_TOTALS = (
    "name",
    "format",
    "batch",
    "macs",
    "counted_macs",
    "int8_macs",
    "mac_bytes",
    "weight_bytes",
    "peak_activation_bytes",
    "peak_at",
    "arithmetic_intensity",
    "partitions",
    "unknown_ops",
)

_INTEGERS = ("int8", "uint8")
_COMPUTING: frozenset[Category] = frozenset(
    {"contraction", "pool", "activation", "elementwise", "unknown"}
)


@dataclasses.dataclass(frozen=True)
class OpCost:
    """One operator for one inference of the artifact.

    ``mac_bytes`` (memory access cost) is what it reads and writes, in the tensors' real dtypes;
    a tensor read twice by one operator counts once. ``macs`` is ``None`` where the operator is
    unknown. ``activation_elements`` are those of inputs and outputs,
    constants apart. ``dtype`` is the result's; ``weight_dtype``
    the largest constant's.
    """

    name: str
    kind: str
    category: Category
    macs: int | None
    input_bytes: int
    weight_bytes: int
    output_bytes: int
    activation_elements: int
    dtype: str
    weight_dtype: str | None = None
    partition: int | None = None

    @property
    def in_int8(self) -> bool:
        """Whether it computes in 8-bit integers: it writes some, or sums of their products."""
        sums = self.dtype == "int32" and self.weight_dtype in _INTEGERS and bool(self.macs)
        return self.dtype in _INTEGERS or sums

    @property
    def mac_bytes(self) -> int:
        """Inputs and weights read plus outputs written."""
        return self.input_bytes + self.weight_bytes + self.output_bytes

    @property
    def arithmetic_intensity(self) -> float | None:
        """Multiply-accumulates per byte; ``None`` where nothing moves or macs are unknown."""
        return None if self.macs is None or not self.mac_bytes else self.macs / self.mac_bytes

    def document(self) -> dict[str, Any]:
        """Return every field and figure as JSON values."""
        return dataclasses.asdict(self) | {
            "mac_bytes": self.mac_bytes,
            "arithmetic_intensity": self.arithmetic_intensity,
        }


@dataclasses.dataclass(frozen=True)
class ArtifactCost:
    """A whole artifact at ``batch``.

    ``weight_bytes`` are the constants as stored, each once. ``peak_activation_bytes`` is the most
    that is alive at one moment when operators run in the file's order, nothing shares memory but
    views, and values are freed after their last use.
    """

    name: str
    format: str
    batch: int
    ops: list[OpCost]
    weight_bytes: int
    peak_activation_bytes: int
    peak_at: str | None
    padded_read_bytes: int = 0
    """Part of ``mac_bytes``: what contractions and pools read of explicitly padded borders."""
    padded_read_elements: int = 0
    cropped_write_bytes: int = 0
    """Part of ``mac_bytes``: what contractions write and nothing but a crop reads."""
    cropped_write_elements: int = 0

    @property
    def unknown_ops(self) -> list[str]:
        """Kinds whose multiply-accumulates are not known, each once."""
        return sorted({op.kind for op in self.ops if op.macs is None})

    @property
    def counted_macs(self) -> int:
        """Multiply-accumulates of the operators that are known."""
        return sum(op.macs or 0 for op in self.ops)

    @property
    def int8_macs(self) -> int:
        """Those of operators that compute in 8-bit integers."""
        return sum(op.macs or 0 for op in self.ops if op.in_int8)

    @property
    def float_islands(self) -> Counter[str]:
        """Kinds of operators that compute in float, in a file that does in integers elsewhere."""
        if not self.int8_macs:
            return Counter()
        return Counter(op.kind for op in self.ops if not op.in_int8 and op.category in _COMPUTING)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates in all; ``None`` where an operator's are unknown."""
        return None if self.unknown_ops else self.counted_macs

    @property
    def mac_bytes(self) -> int:
        """Memory access cost in all, unknown operators included."""
        return sum(op.mac_bytes for op in self.ops)

    @property
    def arithmetic_intensity(self) -> float | None:
        """Multiply-accumulates per byte of the whole."""
        return None if self.macs is None or not self.mac_bytes else self.macs / self.mac_bytes

    @property
    def partitions(self) -> int:
        """Delegate partitions that the file itself states (``.pte``); else 0."""
        return len({op.partition for op in self.ops} - {None})

    def document(self, *, per_op: bool = True) -> dict[str, Any]:
        """Return totals and, if asked, operators as JSON values."""
        totals: dict[str, Any] = {key: getattr(self, key) for key in _TOTALS}
        return totals | ({"ops": [op.document() for op in self.ops]} if per_op else {})


def ordered(cost: ArtifactCost, key: str | None) -> ArtifactCost:
    """Return the cost with operators by ``key``, a figure of ``OpCost``, largest first.

    Unknown figures come first of all: they are what needs attention. ``None`` keeps the order of
    execution; so do equal figures.
    """
    if key is None:
        return cost

    def place(value: float | None) -> float:
        return float("-inf") if value is None else -value

    return dataclasses.replace(cost, ops=sorted(cost.ops, key=lambda op: place(getattr(op, key))))
