"""How far the values of a tensor can be told apart by those who read it.

Hard-swish is 0 for everything below −3, a clip the same beyond its bounds: int8 steps spent there
would be lost, and clipping there is exact.
"""

from __future__ import annotations

from torch import fx

from cnn_export.quantization.insertion.clips import EVERYTHING, Bounds, read_clip
from cnn_export.quantization.scheme.placement.operators import carried_inputs
from cnn_export.reparam.graph.operators import operator_name

_DISTINGUISHED = {"hardswish": Bounds(low=-3.0), "hardsigmoid": Bounds(-3.0, 3.0)}


def reader_bounds(graph_module: fx.GraphModule) -> dict[fx.Node, Bounds]:
    """Return for every node the interval outside of which no reader tells values apart."""
    known: dict[fx.Node, Bounds] = {}
    for node in reversed(graph_module.graph.nodes):
        each = [_through(graph_module, user, known[user]) for user in node.users]
        found = each[0] if each else EVERYTHING
        for bounds in each[1:]:
            found = found.hull(bounds)
        known[node] = found
    return known


def _through(graph_module: fx.GraphModule, user: fx.Node, behind: Bounds) -> Bounds:
    """Return what one reader tells apart, given what its own readers do."""
    distinguished = _DISTINGUISHED.get(operator_name(user))
    if distinguished is not None:
        return distinguished
    clip = read_clip(graph_module, user)
    if clip is not None:
        return clip[1].cut(behind)
    # Moving and selecting values, maxima and zeros beside them: all commute with a clip around 0.
    return EVERYTHING if carried_inputs(graph_module, user) is None else behind
