"""Order the operators of a cost for reading."""

from __future__ import annotations

import dataclasses

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost


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
