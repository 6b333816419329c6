"""Why two artifacts of one network move different numbers of bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from cnn_export.artifact_files.op_graph import Category
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost

UNEXPLAINED = "unexplained"
_CORE: frozenset[Category] = frozenset({"contraction", "pool"})
_CAUSES: dict[str, frozenset[Category]] = {
    "layout transposes": frozenset({"layout"}),
    "activations as operators of their own": frozenset({"activation"}),
    "arithmetic between tensors": frozenset({"elementwise"}),
    "copies and slices": frozenset({"copy", "window"}),
    "dtype conversions": frozenset({"conversion"}),
    "unknown operators": frozenset({"unknown"}),
}


@dataclasses.dataclass(frozen=True)
class Difference:
    """One cause, and the bytes that the second artifact moves more (less, if negative)."""

    cause: str
    mac_bytes: int


def explain(first: ArtifactCost, second: ArtifactCost) -> list[Difference]:
    """Split ``second.mac_bytes - first.mac_bytes`` by cause; the parts add up to it exactly.

    What contractions and pools read and write, borders apart, is the network itself: the same
    number of elements in every format. Where it is not, the rest is :data:`UNEXPLAINED`; the two
    are then not the same network, or a reader is wrong. Causes without effect are left out.
    """
    parts = {
        cause: _moved(second.ops, categories) - _moved(first.ops, categories)
        for cause, categories in _CAUSES.items()
    }
    parts["explicit padding"] = _padding(second) - _padding(first)
    parts["pools that keep the size"] = _flat_pools(second) - _flat_pools(first)
    parts["explicit cropping"] = second.cropped_write_bytes - first.cropped_write_bytes
    parts["stored weights and biases"] = _weights(second) - _weights(first)
    core_bytes = _core_bytes(second) - _core_bytes(first)
    more_elements = _core_elements(second) - _core_elements(first)
    strange = core_bytes if more_elements else 0
    parts["width of elements"] = core_bytes - strange
    parts[UNEXPLAINED] = strange
    return [Difference(cause, moved) for cause, moved in parts.items() if moved]


def _moved(ops: Iterable[OpCost], categories: frozenset[Category]) -> int:
    return sum(op.mac_bytes for op in ops if op.category in categories)


def _padding(cost: ArtifactCost) -> int:
    return _moved(cost.ops, frozenset({"padding"})) + cost.padded_read_bytes


def _weights(cost: ArtifactCost) -> int:
    return sum(op.weight_bytes for op in cost.ops if _is_core(op))


def _is_core(op: OpCost) -> bool:
    return op.category in _CORE and not _is_flat(op)


def _is_flat(op: OpCost) -> bool:
    """Whether it is a pool that takes nothing together: a mean over maps of 1×1, at least."""
    return op.category == "pool" and op.input_bytes == op.output_bytes > 0


def _flat_pools(cost: ArtifactCost) -> int:
    return sum(op.mac_bytes for op in cost.ops if _is_flat(op))


def _core_bytes(cost: ArtifactCost) -> int:
    borders = cost.padded_read_bytes + cost.cropped_write_bytes
    moved = sum(op.mac_bytes for op in cost.ops if _is_core(op))
    return moved - _weights(cost) - borders


def _core_elements(cost: ArtifactCost) -> int:
    core = (op.activation_elements for op in cost.ops if _is_core(op))
    return sum(core) - cost.padded_read_elements - cost.cropped_write_elements
