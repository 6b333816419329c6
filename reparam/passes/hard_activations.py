"""Recover hard-sigmoid and hard-swish from hand-written forms."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.aliases import written_nodes
from cnn_export.reparam.operators import (
    arguments,
    has_tensor,
    operator_name,
    readers,
    same_tensor_type,
    value_of,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal
from cnn_export.reparam.scalars import clipped_input, is_close, scaled_input, shifted_input
from cnn_export.reparam.surgery import insert_call, replace

_SIXTH = 1.0 / 6.0


@dataclasses.dataclass(frozen=True)
class _Match:
    """An expression equal to ``target(input)``; ``inner`` are its nodes but the last."""

    target: OpOverload
    input: fx.Node
    inner: tuple[fx.Node, ...]


class RecoverHardActivations(ProgramPass):
    """relu6(x + 3)/6  ⇒  hardsigmoid(x),  x·hardsigmoid(x)  ⇒  hardswish(x).

    *Given* any of ``relu6(x+3)/6``, ``clip(x/6 + 1/2, 0, 1)``, ``x·relu6(x+3)/6`` (the factor 1/6
    anywhere, as product or quotient; relu6 as hardtanh or clamp), whose inner values nobody else
    reads. *Result* one operator, which every mobile runtime has a kernel for. Source: Howard et
    al., MobileNetV3 (arXiv 1905.02244), section 5.2.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such expression, innermost first."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            match = _match(graph_module, node)
            if match is None:
                continue
            reason = match if isinstance(match, str) else _obstacle(match, node, written)
            if reason:
                refusals.append(Refusal(node.name, reason))
            elif isinstance(match, _Match):
                _replace(node, match)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _match(graph_module: fx.GraphModule, node: fx.Node) -> _Match | str | None:
    """Return what to put here, why a near miss is none, or ``None`` for anything else."""
    if operator_name(node) in ("mul", "div") and has_tensor(node):
        return (
            _scaled_clip(graph_module, node)
            or _gated(graph_module, node)
            or _scaled_gate(graph_module, node)
        )
    return _unit_clip(graph_module, node)


def _scaled_clip(graph_module: fx.GraphModule, node: fx.Node) -> _Match | str | None:
    """``relu6(x + 3)·(1/6)``."""
    scaled = scaled_input(graph_module, node)
    clip = _shifted_relu6(graph_module, scaled[0]) if scaled else None
    if scaled is None or clip is None:
        return None
    source, shift, inner = clip
    if not is_close(shift, 3.0) or not is_close(scaled[1], _SIXTH):
        return f"relu6(x + {shift:g}) times {scaled[1]:.9g} is no hard sigmoid (3 and 1/6 are)"
    return _Match(torch.ops.aten.hardsigmoid.default, source, inner)


def _unit_clip(graph_module: fx.GraphModule, node: fx.Node) -> _Match | None:
    """``clip(x·(1/6) + 1/2, 0, 1)``."""
    clip = clipped_input(graph_module, node)
    shifted = shifted_input(graph_module, clip[0]) if clip else None
    scaled = scaled_input(graph_module, shifted[0]) if shifted else None
    if clip is None or shifted is None or scaled is None or clip[1:] != (0.0, 1.0):
        return None
    if not is_close(shifted[1], 0.5) or not is_close(scaled[1], _SIXTH):
        return None
    return _Match(torch.ops.aten.hardsigmoid.default, scaled[0], (clip[0], shifted[0]))


def _gated(graph_module: fx.GraphModule, node: fx.Node) -> _Match | None:
    """``x·hardsigmoid(x)`` and ``(x·(1/6))·relu6(x + 3)``."""
    for value, gate in _factors(node):
        if operator_name(gate) == "hardsigmoid" and arguments(gate)["self"] is value:
            return _Match(torch.ops.aten.hardswish.default, value, (gate,))
        scaled = scaled_input(graph_module, value)
        clip = _shifted_relu6(graph_module, gate)
        if scaled is None or clip is None:
            continue
        if clip[0] is scaled[0] and is_close(clip[1], 3.0) and is_close(scaled[1], _SIXTH):
            return _Match(torch.ops.aten.hardswish.default, scaled[0], (value, *clip[2]))
    return None


def _scaled_gate(graph_module: fx.GraphModule, node: fx.Node) -> _Match | str | None:
    """``(x·relu6(x + 3))·(1/6)``."""
    scaled = scaled_input(graph_module, node)
    for value, gate in _factors(scaled[0]) if scaled else ():
        clip = _shifted_relu6(graph_module, gate)
        if scaled is None or clip is None or clip[0] is not value:
            continue
        if not is_close(clip[1], 3.0) or not is_close(scaled[1], _SIXTH):
            return (
                f"x·relu6(x + {clip[1]:g}) times {scaled[1]:.9g} is no hard swish (3 and 1/6 are)"
            )
        return _Match(torch.ops.aten.hardswish.default, value, (scaled[0], *clip[2]))
    return None


def _shifted_relu6(
    graph_module: fx.GraphModule, node: Any
) -> tuple[fx.Node, float, tuple[fx.Node, ...]] | None:
    """Read ``relu6(x + c)`` as ``(x, c, its nodes)``."""
    clip = clipped_input(graph_module, node)
    shifted = shifted_input(graph_module, clip[0]) if clip and clip[1:] == (0.0, 6.0) else None
    if clip is None or shifted is None:
        return None
    return shifted[0], shifted[1], (node, clip[0])


def _factors(node: fx.Node) -> tuple[tuple[fx.Node, fx.Node], ...]:
    """Return both orders of a product of two tensors."""
    if operator_name(node) != "mul":
        return ()
    left, right = arguments(node)["self"], arguments(node)["other"]
    both = has_tensor(left) and has_tensor(right)
    return ((left, right), (right, left)) if both else ()


def _obstacle(match: _Match, node: fx.Node, written: set[fx.Node]) -> str | None:
    changed = [each for each in (match.input, *match.inner) if each in written]
    if changed:
        return f"{changed[0].name} is written to in place"
    shared = [each for each in match.inner if len(each.users) > 1]
    if shared:
        return f"{shared[0].name} is also read: {readers(shared[0])}"
    if not same_tensor_type(value_of(match.input), value_of(node)):
        return f"{node.name} changes the shape or dtype of {match.input.name}"
    return None


def _replace(node: fx.Node, match: _Match) -> None:
    new = insert_call(node.graph, match.target, (match.input,), before=node, like=node)
    replace(node, new)
    for each in match.inner:
        if not each.users:
            node.graph.erase_node(each)
