"""A graph of one sample, made to take many at once: the same answers in a fraction of the time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cnn_export.program.program import Program
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.operators import arguments, operator_name, value_of

_RESHAPES = frozenset({"reshape", "view", "_unsafe_view"})
_ELEMENTS = 2**18
"""Of a batch's inputs: 85 small images, or one of 224 x 224 and a half."""
_BATCH_MAX = 32
_SAME = 1e-4


def batched(program: Program) -> tuple[Program, int]:
    """Return the program over a graph that takes batches, and how many samples make a good one.

    Where the answers to two samples together are not those to each, the program itself comes back,
    and 1; of a fixed batch, its size.
    """
    inputs = program.example_inputs_of_one()
    elements = max(math.prod(each.shape) for each in inputs)
    size = max(1, min(_BATCH_MAX, _ELEMENTS // max(elements, 1)))
    if program.dynamic_batch:
        return program, size
    fixed = inputs[0].shape[0] if inputs[0].ndim else 1
    if fixed != 1:
        return program, fixed
    wide = widened(program) if size > 1 else None
    return (program, 1) if wide is None else (wide, size)


def widened(program: Program) -> Program | None:
    """Return the program over a graph that takes any batch; ``None`` where it takes only its own.

    Reshapes that name the batch of 1 infer it instead.
    """
    if program.dynamic_batch:
        return program
    if any(spec.shape[:1] != (1,) for spec in (*program.inputs, *program.outputs)):
        return None
    graph_module = copied(program.graph_module)
    for node in graph_module.graph.nodes:
        _infer_batch(node)
    graph_module.recompile()
    wide = program.with_graph(graph_module)
    return wide if _same_answers(program, wide, program.example_inputs_of_one()) else None


def _infer_batch(node: fx.Node) -> None:
    if operator_name(node) not in _RESHAPES:
        return
    bound = arguments(node)
    before, sizes = value_of(bound["self"]).shape, [*bound.get("shape", bound.get("size", ()))]
    if sizes[:1] == [1] and before[:1] == (1,) and -1 not in sizes:
        node.args = (node.args[0], [-1, *sizes[1:]])
        node.kwargs = {}


def _same_answers(program: Program, wide: Program, inputs: tuple[torch.Tensor, ...]) -> bool:
    """Whether two different samples get the same answers, alone and together."""
    others = tuple(each.flip(-1) for each in inputs)
    together = tuple(torch.cat(pair) for pair in zip(inputs, others, strict=True))
    try:
        with torch.no_grad():
            apart = [program.graph_module(*each) for each in (inputs, others)]
            found: Any = wide.graph_module(*together)
    except Exception:  # an operator that fixes the batch in another way
        return False
    return all(
        value.shape == (2, *one.shape[1:]) and _close(value, torch.cat((one, other)))
        for value, one, other in zip(found, *apart, strict=True)
    )


def _close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    scale = expected.double().square().mean().sqrt().clamp(min=1e-30)
    return bool((actual.double() - expected.double()).abs().max() <= _SAME * scale)
