"""Which values of a graph cannot be negative, whatever the input is."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_arguments

_aten = torch.ops.aten

_NEVER_NEGATIVE = frozenset(
    {
        _aten.relu.default,
        _aten.relu6.default,
        _aten.sigmoid.default,
        _aten.hardsigmoid.default,
        _aten.softmax.int,
        _aten.abs.default,
        _aten.exp.default,
    }
)

_NEVER_NEGATIVE_OF_SUCH = frozenset(
    {
        _aten.add.Tensor,
        _aten.mul.Tensor,
        _aten.cat.default,
        _aten.max_pool2d.default,
        _aten.avg_pool2d.default,
        _aten.adaptive_avg_pool2d.default,
        _aten.mean.dim,
        _aten.upsample_nearest2d.vec,
        _aten.upsample_bilinear2d.vec,
        _aten.slice.Tensor,
        _aten.select.int,
        _aten.reshape.default,
        _aten.view.default,
        _aten.flatten.using_ints,
        _aten.squeeze.dims,
        _aten.unsqueeze.default,
        _aten.permute.default,
        _aten.transpose.int,
        _aten.dropout.default,
        _aten.clone.default,
        _aten.alias.default,
        _aten.contiguous.default,
    }
)
"""Not negative where no tensor and no number they take is; ``divisor_override`` included."""

_CLIPS = frozenset({_aten.hardtanh.default, _aten.clamp.default})


def non_negative(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes whose every element is at least 0, or NaN.

    Nothing is known where any operator writes in place: what a node holds then changes.
    """
    known: set[fx.Node] = set()
    if any(written_arguments(node) for node in graph.nodes):
        return known
    for node in graph.nodes:
        preserves = node.target in _NEVER_NEGATIVE_OF_SUCH and _takes_only(known, node)
        if preserves or node.target in _NEVER_NEGATIVE or clips_below_zero(node):
            known.add(node)
    return known


def clips_below_zero(node: fx.Node) -> bool:
    """Whether a node is ``relu``, ``relu6`` or a clip whose lower bound is not negative.

    Such a node does not tell 0 from anything below.
    """
    if node.target in (_aten.relu.default, _aten.relu6.default):
        return True
    low: Any = node.args[1] if node.target in _CLIPS and len(node.args) > 1 else None
    return isinstance(low, (int, float)) and low >= 0


def _takes_only(known: set[fx.Node], node: fx.Node) -> bool:
    if any(source not in known for source in node.all_input_nodes):
        return False
    elementwise = node.target in (_aten.add.Tensor, _aten.mul.Tensor, _aten.avg_pool2d.default)
    numbers = [v for v in (*node.args, *node.kwargs.values()) if isinstance(v, (int, float))]
    return not elementwise or all(number >= 0 for number in numbers)
