"""What keeps a region from being carried in parts."""

from __future__ import annotations

from torch import fx

from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.partial_shortcuts.channel_split.channelwise import Channelwise
from cnn_export.reparam.passes.partial_shortcuts.channel_split.regions import Region


def written_member(region: Region, written: set[fx.Node]) -> fx.Node | None:
    """Return the first tensor of the region that is written to in place."""
    return next((node for node in region.starts if node in written), None)


def find_obstacle(region: Region) -> str | None:
    """Return what would still be sliced or joined inside the region, or ``None``."""
    reasons = (_obstacle_at(region, node) for node in region.starts)
    return next((reason for reason in reasons if reason), None)


def _obstacle_at(region: Region, node: fx.Node) -> str | None:
    kind = region.kinds.get(node)
    sizes = region.sizes(node)
    if not sizes:
        return f"{node.name} has no channels"
    if kind is None and len(sizes) > 1:
        what = operator_name(node) or node.op
        return (
            f"{node.name} ({what}) would still be sliced at run time into {_text(sizes)} channels"
        )
    if isinstance(kind, Channelwise):
        for operand in kind.operands:
            if region.sizes(operand) != sizes:
                return _mismatch(node, sizes, operand, region.sizes(operand))
    if isinstance(kind, tuple):
        found = [size for operand in kind for size in region.sizes(operand)]
        return None if found == sizes else _mismatch(node, sizes, kind[0], found)
    return None


def _mismatch(node: fx.Node, sizes: list[int], source: fx.Node, found: list[int]) -> str:
    return f"{node.name} is carried in {_text(sizes)} channels, but {source.name} in {_text(found)}"


def _text(sizes: list[int]) -> str:
    return " + ".join(map(str, sizes))
