"""Spell pools that round their size up as pools that do not."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from cnn_export.reparam.graph.operators import arguments, expand_list, operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.passes.canonical.pool_windows import last_first, overhang
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_aten = torch.ops.aten
_ROUNDING = 1e-12
_SPATIAL = {
    **{f"avg_pool{count}d": count for count in (1, 2, 3)},
    **{f"max_pool{count}d": count for count in (1, 2, 3)},
}


class ExplicitCeilPools(ProgramPass):
    """pool(x, ceil)  ⇒  pool(x), where rounding down gives as many windows.

    max_pool(x, ceil)  ⇒  max_pool(pad(x, replicate))
    avg_pool(x, p, ceil)  ⇒  avg_pool(pad(x, p, zeros)) · m    m = window size / torch's divisor

    *Given* a pool that rounds its size up. A window that overhangs always holds the map's last row
    or column, so repeating that changes no maximum. *Result* windows that end with the map, whose
    meaning nobody disputes: ONNX counts windows otherwise, and runtimes divide an overhanging
    average by different numbers. ``overhanging`` names the kinds respelled where windows overhang.
    """

    def __init__(self, overhanging: tuple[str, ...] = ("avg", "max")) -> None:
        self._overhanging = overhanging

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every pool with ``ceil_mode``."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        for node in list(graph_module.graph.nodes):
            spatial = _SPATIAL.get(operator_name(node))
            if spatial is None or not arguments(node)["ceil_mode"]:
                continue
            reason = self._respell(graph_module, node, spatial)
            if reason is None:
                rewrites.append(node.name)
            else:
                refusals.append(Refusal(node.name, reason))
        return PassResult(self.name, tuple(rewrites), tuple(refusals))

    def _respell(self, graph_module: fx.GraphModule, node: fx.Node, spatial: int) -> str | None:
        bound = arguments(node)
        beyond = overhang(node, spatial)
        if beyond is None:
            return "the size of its input is not known"
        if not any(beyond):
            return _round_down(node, bound)
        if not operator_name(node).startswith(self._overhanging):
            return "its last windows reach beyond the map"
        if value_of(bound["self"]).dim() != spatial + 2:
            return f"its input has {value_of(bound['self']).dim()} dimensions"
        if operator_name(node).startswith("max"):
            return _repeat_edge(node, bound, beyond)
        return _pad_and_weigh(graph_module, node, bound, beyond)


def _round_down(node: fx.Node, bound: dict[str, Any]) -> None:
    node.args = tuple({**bound, "ceil_mode": False}.values())
    node.kwargs = {}


def _repeat_edge(node: fx.Node, bound: dict[str, Any], beyond: tuple[int, ...]) -> str | None:
    if any(spread != 1 for spread in expand_list(bound["dilation"], len(beyond))):
        return "its dilated windows may miss the last row of the map"
    pads = last_first((0,) * len(beyond), beyond)
    args = (bound["self"], pads, "replicate")
    padded = insert_call(node.graph, _aten.pad.default, args, before=node, like=node)
    _round_down(node, {**bound, "self": padded})
    return None


def _pad_and_weigh(
    graph_module: fx.GraphModule, node: fx.Node, bound: dict[str, Any], beyond: tuple[int, ...]
) -> None:
    spatial = len(beyond)
    pool: Any = node.target
    plain = _plain(bound, spatial)
    padding = expand_list(bound["padding"], spatial)
    after = tuple(pad + more for pad, more in zip(padding, beyond, strict=True))
    pads = last_first(padding, after)
    weights = _weights(pool, bound, plain, pads)
    graph = node.graph
    padded = insert_call(graph, _aten.pad.default, (bound["self"], pads), before=node, like=node)
    result = insert_call(graph, pool, (padded, *plain), before=node, like=node)
    if not bool((weights == 1).all()):
        stored = weights.to(value_of(node).dtype)
        constant = insert_constant(graph_module, "pool_weights", stored, before=node, like=node)
        args = (result, constant)
        result = insert_call(graph, _aten.mul.Tensor, args, before=node, like=node)
    replace(node, result)


def _plain(bound: dict[str, Any], spatial: int) -> tuple[Any, ...]:
    kernel = list(expand_list(bound["kernel_size"], spatial))
    stride = list(expand_list(bound["stride"] or kernel, spatial))
    return (kernel, stride, [0] * spatial, False, False)


def _weights(
    pool: OpOverload, bound: dict[str, Any], plain: tuple[Any, ...], pads: list[int]
) -> torch.Tensor:
    """Return, per window, its size over the divisor that torch takes: both pools of a map of ones.

    An average of ones is the number of elements inside the map over the divisor.
    """
    sizes = value_of(bound["self"]).shape[2:]
    ones = torch.ones(1, 1, *sizes, dtype=torch.float64)
    wanted: torch.Tensor = pool(ones, *list(bound.values())[1:])
    found: torch.Tensor = pool(_aten.pad.default(ones, pads), *plain)
    weights = wanted / found
    # A quotient of equal counts is 1 up to rounding, and a product by that is none.
    return torch.where((weights - 1).abs() < _ROUNDING, 1.0, weights)
