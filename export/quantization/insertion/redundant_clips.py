"""Leave out the clips that quantization does by itself.

A relu6 in front of steps that reach from 0 to 6 changes nothing that saturating would not. Without
it no runtime has to know the clip as an activation that it fuses, and none keeps a layer in float
because it does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import fx

from cnn_export.quantization.decision import TensorScale
from cnn_export.quantization.insertion.clips import Bounds, read_clip


def redundant_clips(
    graph_module: fx.GraphModule, tensors: Mapping[str, TensorScale]
) -> dict[fx.Node, fx.Node]:
    """Return the decided clips that reach beyond their int8 range at both ends, with their inputs.

    An input with another scale is requantized between: such a clip stays.
    """
    found: dict[fx.Node, fx.Node] = {}
    for node in graph_module.graph.nodes:
        scale = tensors.get(node.name)
        clip = read_clip(graph_module, node) if scale is not None else None
        if scale is None or clip is None:
            continue
        source, bounds = clip
        given = tensors.get(source.name)
        alike = given is None or _steps(given) == _steps(scale)
        if alike and Bounds(scale.low, scale.high).within(bounds):
            found[node] = source
    return found


def _steps(scale: TensorScale) -> tuple[float, int]:
    return scale.scale, scale.zero_point
