"""Carry tensors that are sliced and concatenated in parts, all the way through a stage."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.passes.partial_shortcuts.channel_split.figures import (
    Carried,
    RegionCost,
    cost_as_is,
    cost_in_parts,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.obstacles import (
    find_obstacle,
    written_member,
)
from cnn_export.reparam.passes.partial_shortcuts.channel_split.regions import Region, find_regions
from cnn_export.reparam.passes.partial_shortcuts.channel_split.rewrite import carry
from cnn_export.reparam.program_pass import Decision, PassResult, ProgramPass, Refusal

OPERATOR_BYTES = 16 * 1024
"""What one more operator may cost: about two microseconds of a mobile core's memory traffic."""


class CarrySplit(ProgramPass):
    """cat([a, b], 1) → f → conv W  ⇒  conv W[:, :k] (f(a)) + conv W[:, k:] (f(b)).

    *Given* slices and concatenations of channels between convolutions, with channelwise operators
    (activations, depthwise convolutions, poolings, sums) in between; best in the canonical form
    of ``CanonicalPartialShortcuts``. *Result* the same region on several tensors, one per range of
    channels: depthwise convolutions are split, convolutions into the region write each range by
    rows of their weights, convolutions out of it become a sum over columns, ``W x = Σ Wᵢ xᵢ``. The
    multiply-accumulates stay, every slice and concatenation goes. What takes no parts reads a
    concatenation at the region's end.

    A region is left as it is where a tensor would have to be sliced at run time after all, or
    where the sums and operators added cost more than what goes.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Weigh each region in turn, then write all that pay at once."""
        written = written_nodes(graph_module.graph)
        sizes: dict[fx.Node, list[int]] = {}
        refusals: list[Refusal] = []
        decisions: list[Decision] = []
        regions = find_regions(graph_module)
        for region in regions:
            memory = written_member(region, written)
            if memory is not None:
                refusals.append(Refusal(region.name, f"{memory.name} is written to in place"))
                continue
            decision = _decide(region, sizes)
            if decision is not None:
                decisions.append(decision)
            if decision is not None and decision.taken:
                sizes |= {node: region.sizes(node) for node in region.starts}
        if sizes:
            carry(graph_module, sizes, regions[0].kinds)
        taken = tuple(each.node for each in decisions if each.taken)
        return PassResult(self.name, taken, tuple(refusals), tuple(decisions))


def _decide(region: Region, carried: Carried) -> Decision | None:
    """Weigh a region; ``None`` where every concatenation would come back at its end."""
    before = cost_as_is(region, carried)
    obstacle = find_obstacle(region)
    if obstacle:
        return Decision(region.name, False, before.figures, before.figures, obstacle)
    after = cost_in_parts(region, carried)
    if after.seams >= before.seams:
        return None
    reason = "" if _cost(after) < _cost(before) else _reason(before, after)
    return Decision(region.name, not reason, before.figures, after.figures, reason)


def _cost(cost: RegionCost) -> int:
    return cost.figures.bytes + OPERATOR_BYTES * cost.operators


def _reason(before: RegionCost, after: RegionCost) -> str:
    return (
        f"carried in parts it moves {after.figures.bytes} bytes instead of "
        f"{before.figures.bytes} in {after.operators} operators instead of {before.operators}"
    )
