"""Remove operators that return their input's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    has_tensor,
    operator_name,
    same_tensor_type,
    value_of,
)
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.passes.canonical.resampling import (
    INTERPOLATIONS,
    POOLS,
    has_unit_windows,
    keeps_scale,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
_SAME_VALUE = frozenset({"alias", "alias_copy", "detach", "detach_copy", "positive"}
    | {"lift", "lift_fresh", "lift_fresh_copy", "clone", "contiguous"})  # fmt: skip
_SAME_VALUE_IF_SAME_TYPE = frozenset(
    {"to", "_to_copy", "type_as", "slice", "slice_copy", "narrow", "expand", "expand_as"}
    | {"reshape", "flatten", "squeeze", "view_as", "reshape_as"}
)
"""With equal shape and dtype on both sides none of these can do anything."""

_ASSERTIONS = frozenset({"_assert_tensor_metadata"})

_VIEWS_OF_STRIDES = frozenset({"as_strided", "as_strided_copy", "view_as_real", "view_as_complex"})


class RemoveNoOps(ProgramPass):
    """f(x) with f(x) = x for every x  ⇒  x.

    *Given* dropout in evaluation mode, aliases, copies, conversions to the same dtype, slices over
    the whole dimension, reshapes to the same shape, padding by nothing, ``x ± 0``, ``x·1``,
    ``x/1``, identity permutations, concatenation of one tensor, functional copies, pools over
    single elements, interpolation to the same size, and assertions on metadata that the trace has
    already established. *Result* their input.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Remove every such operator whose removal no reader can notice."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        strided = _first_strided(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) in _ASSERTIONS:
                graph_module.graph.erase_node(node)
                rewrites.append(node.name)
                continue
            source = _equal_input(node)
            if source is None:
                continue
            reason = _obstacle(node, source, written, strided)
            if reason:
                refusals.append(Refusal(node.name, reason))
            else:
                replace(node, source)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _first_strided(graph: fx.Graph) -> fx.Node | None:
    return next((node for node in graph.nodes if operator_name(node) in _VIEWS_OF_STRIDES), None)


def _obstacle(
    node: fx.Node, source: fx.Node, written: set[fx.Node], strided: fx.Node | None
) -> str | None:
    if node in written or source in written:
        return f"{node.name if node in written else source.name} is written to in place"
    if strided is not None:
        return f"{strided.name} depends on memory strides"
    if source.op in ("placeholder", "get_attr") and any(u.op == "output" for u in node.users):
        return f"an output would be {source.name} itself"
    return None


def _equal_input(node: fx.Node) -> fx.Node | None:
    """Return the input whose value the node returns for every input, or ``None``."""
    rule = _RULES.get(operator_name(node))
    if rule is None or not has_tensor(node):
        return None
    source = rule(arguments(node), node)
    if source is None or not has_tensor(source):
        return None
    return source if same_tensor_type(value_of(source), value_of(node)) else None


def _first(bound: dict[str, Any], _: fx.Node) -> fx.Node | None:
    value = next(iter(bound.values()))
    return value if isinstance(value, fx.Node) else None


def _dropout(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    return None if bound["train"] and bound["p"] != 0 else _first(bound, node)


def _pad(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    return None if any(not _is(width, 0) for width in bound["pad"]) else _first(bound, node)


def _add_nothing(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    return _first(bound, node) if _is(bound["other"], 0) else None


def _times_one(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    plain = bound.get("rounding_mode") is None
    return _first(bound, node) if plain and _is(bound["other"], 1) else None


def _permute(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    dims = [dim % len(bound["dims"]) for dim in bound["dims"]]
    return _first(bound, node) if dims == list(range(len(dims))) else None


def _transpose(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    rank = value_of(node).ndim
    return _first(bound, node) if bound["dim0"] % rank == bound["dim1"] % rank else None


def _cat(bound: dict[str, Any], _: fx.Node) -> fx.Node | None:
    tensors = bound["tensors"]
    return tensors[0] if len(tensors) == 1 else None


def _pool(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    return _first(bound, node) if has_unit_windows(bound) else None


def _interpolation(bound: dict[str, Any], node: fx.Node) -> fx.Node | None:
    return _first(bound, node) if keeps_scale(bound) else None


def _copied(bound: dict[str, Any], _: fx.Node) -> fx.Node | None:
    return bound["src"]


def _is(value: Any, number: int) -> bool:
    return isinstance(value, (int, float)) and value == number


_Rule = Callable[[dict[str, Any], fx.Node], fx.Node | None]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_DROPOUTS, _dropout),
    **dict.fromkeys(_SAME_VALUE | _SAME_VALUE_IF_SAME_TYPE, _first),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    **dict.fromkeys(("add", "sub"), _add_nothing),
    **dict.fromkeys(("mul", "div"), _times_one),
    "permute": _permute,
    "transpose": _transpose,
    "cat": _cat,
    "copy": _copied,
    **dict.fromkeys(POOLS, _pool),
    **dict.fromkeys(INTERPOLATIONS, _interpolation),
}
