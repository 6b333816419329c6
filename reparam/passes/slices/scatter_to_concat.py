"""Spell functional slice assignment as a concatenation."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import (
    arguments,
    operator_name,
    same_tensor_type,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.splice import splice, splice_index
from cnn_export.reparam.graph.surgery import replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal


class ScatterToConcat(ProgramPass):
    """slice_scatter(x, s, d, a, b)  ⇒  cat([x[:a], s, x[b:]], d).

    *Given* ``slice_scatter`` with step 1 or ``select_scatter``, along a dimension of known size.
    *Result* the pieces that stay and the one that came, side by side: scatters are not delegated
    anywhere, and ONNX spells them with index tensors.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such operator."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) not in ("slice_scatter", "select_scatter"):
                continue
            reason = _obstacle(node, written)
            if reason:
                refusals.append(Refusal(node.name, reason))
                continue
            replace(node, _insert_concatenation(node))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


def _obstacle(node: fx.Node, written: set[fx.Node]) -> str | None:
    bound = arguments(node)
    whole, part = bound["self"], bound["src"]
    changed = [each for each in (node, whole, part) if each in written]
    if changed:
        return f"{changed[0].name} is written to in place"
    shape = value_of(whole).shape
    dim = bound["dim"] % len(shape)
    region = [bound[key] for key in ("start", "end", "index") if bound.get(key) is not None]
    if static_sizes(shape[dim : dim + 1]) is None or not all(isinstance(r, int) for r in region):
        return f"the range along dimension {dim} is not known"
    if bound.get("step", 1) != 1:
        return f"its step is {bound['step']}"
    if value_of(whole).dtype != value_of(part).dtype or not same_tensor_type(
        value_of(whole), value_of(node)
    ):
        return f"{part.name} has another dtype than {whole.name}"
    return None


def _insert_concatenation(node: fx.Node) -> fx.Node:
    bound = arguments(node)
    whole, part, dim = bound["self"], bound["src"], bound["dim"]
    if operator_name(node) == "select_scatter":
        return splice_index(whole, part, dim, bound["index"], before=node, like=node)
    region = (dim, bound["start"], bound["end"], bound["step"])
    return splice(whole, part, *region, before=node, like=node)
