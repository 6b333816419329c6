"""Merge whatever is linear between one source and one value into one convolution."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.surgery import insert_call, replace
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap
from cnn_export.reparam.passes.branches.algebra.footprint import NotRepresentable
from cnn_export.reparam.passes.branches.algebra.forms import Outlines, outline, weights
from cnn_export.reparam.passes.branches.algebra.regions import LinearGraph, Region
from cnn_export.reparam.passes.branches.algebra.weighing import cost_after, cost_before, is_cheaper
from cnn_export.reparam.passes.branches.algebra.writing import MergedTensors, insert_convolution
from cnn_export.reparam.program_pass import Decision, PassResult, ProgramPass, Refusal

_add = torch.ops.aten.add.Tensor


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A region that one convolution can replace, and what either form costs."""

    region: Region
    outlines: Outlines
    removed: list[fx.Node]
    decision: Decision

    @property
    def saved(self) -> int:
        """How far the figures fall together, to choose among sources."""
        before, after = self.decision.before, self.decision.after
        return before.macs - after.macs + before.bytes - after.bytes


class MergeLinearBranches(ProgramPass):
    """Σ f_i(x), every f_i a composition of linear operators  ⇒  W * x + b.

    ``f∘g: W[t₂·s₁ + t₁] += W₂[t₂]·W₁[t₁]    f + g: W₁ + W₂`` on the union of their taps

    *Given* a value that depends on one source through convolutions, fully connected layers,
    average pools, padding, batch norms, scales, shifts and additions only, in any nesting. *Result*
    one convolution, if that is a convolution at all (borders!), and if neither its
    multiply-accumulates nor its bytes exceed those of the operators it makes superfluous, and one
    of them is less. So a bottleneck, an inverted residual and depthwise-pointwise pairs stay.

    Sources: ACNet (arXiv 1908.03930), RepVGG (2101.03697), Diverse Branch Block (2103.13425),
    MobileOne (2206.04040).
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Go from the last value to the first, so that the largest regions are met first."""
        linear = LinearGraph(graph_module, written_nodes(graph_module.graph))
        tensors = MergedTensors(graph_module)
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        decisions: list[Decision] = []
        removed: set[fx.Node] = set()
        for node in reversed(list(graph_module.graph.nodes)):
            if node in removed:
                continue
            candidates, reason = _candidates(node, linear)
            taken = [each for each in candidates if each.decision.taken]
            best = max(taken or candidates, key=lambda each: each.saved, default=None)
            if best is None:
                if reason and linear.operands(node):
                    refusals.append(Refusal(node.name, reason))
                continue
            found = weights(best.region, linear, best.outlines) if taken else None
            if found is not None and not _is_finite(found):
                refusals.append(Refusal(node.name, "the merged weights are not finite"))
                continue
            decisions.append(best.decision)
            if found is not None:
                removed |= _merge(tensors, best, found, linear)
                rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals), tuple(decisions))


def _candidates(node: fx.Node, linear: LinearGraph) -> tuple[list[_Candidate], str]:
    """Return every way to merge what ends at the node, or why the nearest one is impossible."""
    candidates: list[_Candidate] = []
    reason = ""
    for region in linear.regions(node):
        if len(region.interior) + len(region.sums) < 2:
            continue
        try:
            candidates.append(_weigh(region, linear))
        except NotRepresentable as error:
            reason = reason or f"with {region.source.name} as source, {error}"
    return candidates, reason


def _weigh(region: Region, linear: LinearGraph) -> _Candidate:
    total, outlines = outline(region, linear)
    before, removed = cost_before(region, linear)
    after = cost_after(region, total.footprint, has_bias=bool(total.bias.any()))
    taken = is_cheaper(after, before)
    reason = "" if taken else "one convolution would not be cheaper"
    decision = Decision(region.node.name, taken, before, after, reason)
    return _Candidate(region, outlines, removed, decision)


def _is_finite(found: ConvolutionMap) -> bool:
    return bool(found.weight.isfinite().all()) and bool(found.bias.isfinite().all())


def _merge(
    tensors: MergedTensors, chosen: _Candidate, found: ConvolutionMap, linear: LinearGraph
) -> set[fx.Node]:
    """Replace the region's terms; return the nodes that are gone."""
    region, node = chosen.region, chosen.region.node
    result = insert_convolution(tensors, found, region.source, before=node)
    for term, factor in region.rest:
        scaled = {} if factor == 1 else {"alpha": factor}
        result = insert_call(node.graph, _add, (result, term), scaled, before=node, like=node)
    replace(node, result)
    gone = {node, *region.sums, *chosen.removed}
    for each in sorted(gone - {node}, key=linear.position, reverse=True):
        node.graph.erase_node(each)
    return gone
