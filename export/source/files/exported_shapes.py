"""The input sizes that an exported program was made for, checked whenever it runs or is traced.

torch's own guards are code from the file; without them a program run at another size can compute
something else than its network, silently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from cnn_export.errors import CheckpointError

Bounds = tuple[int, float]


def check_sizes(path: Path, program: ExportedProgram, module: fx.GraphModule) -> None:
    """Let ``module`` refuse, by CheckpointError, input sizes that ``program`` does not allow.

    The checks are nodes of its graph: torch traces a graph without calling forward or its hooks.
    They leave nothing in what is traced.
    """
    bounds = _input_bounds(program)
    inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
    for node in inputs:
        with module.graph.inserting_after(inputs[-1]):
            if node.target in bounds:
                given = (node, node.target, bounds[node.target], str(path))
                module.graph.call_function(require_size, given)
    module.recompile()


def _input_bounds(program: ExportedProgram) -> dict[str, tuple[Bounds, ...]]:
    """Return the smallest and largest size of every dimension by input."""
    names = program.graph_signature.user_inputs
    values: list[tuple[str, Any]] = [
        (node.name, node.meta.get("val")) for node in program.graph.nodes if node.name in names
    ]
    return {
        name: tuple(_bounds(program, size) for size in value.shape)
        for name, value in values
        if isinstance(value, torch.Tensor)
    }


def _bounds(program: ExportedProgram, size: Any) -> Bounds:
    if isinstance(size, int):
        return size, size
    allowed: Any = program.range_constraints.get(size.node.expr)
    return (int(allowed.lower), float(allowed.upper)) if allowed else (0, math.inf)


def require_size(tensor: torch.Tensor, name: str, bounds: Sequence[Bounds], path: str) -> None:
    """Compare a tensor's shape with the bounds of every dimension.

    Raises:
        CheckpointError: names the dimension, its size and what the program takes.
    """
    if tensor.dim() != len(bounds):
        raise CheckpointError(
            f"{path} was exported for {len(bounds)} dimensions of {name}, not {tensor.dim()}"
        )
    for dimension, (low, high) in enumerate(bounds):
        size: Any = tensor.shape[dimension]
        # A symbolic size stands for many; only a fixed one contradicts it without a doubt.
        if (isinstance(size, int) or low == high) and not low <= size <= high:
            wanted = f"{low}" if low == high else f"{low} to {high:g}"
            asked = size if isinstance(size, int) else "a dynamic one"
            raise CheckpointError(
                f"{path} was exported for size {wanted} in dimension {dimension} of {name}, not"
                f" {asked}; give that size or export it again"
            )
