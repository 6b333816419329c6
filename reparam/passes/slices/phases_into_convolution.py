"""Let a convolution read an image that was taken apart into every s-th row and column."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import (
    arguments,
    expand_list,
    operator_name,
    readers,
    static_sizes,
    value_of,
)
from cnn_export.reparam.graph.surgery import insert_call, insert_constant, replace
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_SPATIAL = (2, 3)
_IMAGE = 4


class PhasesIntoConvolution(ProgramPass):
    """conv2d(cat([x[i::s, j::s] for all i, j]), W, p, t)  ⇒  conv2d(x, W', p·s, t·s).

    W'[:, :, s·k + i, s·l + j] = W[:, channels of phase (i, j), k, l]

    *Given* a convolution of all phases of an image, each once: YOLOv5's and YOLOX's Focus, or
    ``pixel_unshuffle``. Zeros around the phases are zeros around the image. *Result* as many
    products and nothing that moves pixels: slices with steps leave XNNPACK's partition.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Replace every such convolution."""
        rewrites: list[str] = []
        refusals: list[Refusal] = []
        written = written_nodes(graph_module.graph)
        for node in list(graph_module.graph.nodes):
            if operator_name(node) != "conv2d":
                continue
            joined: fx.Node = arguments(node)["input"]
            phases = _read_phases(joined)
            if phases is None or not written.isdisjoint((node, joined, phases.source)):
                continue
            reason = _obstacle(graph_module, node, joined)
            if reason is not None:
                refusals.append(Refusal(node.name, reason))
                continue
            replace(node, _insert_convolution(graph_module, node, phases))
            rewrites.append(node.name)
        return PassResult(self.name, tuple(rewrites), tuple(refusals))


@dataclasses.dataclass(frozen=True)
class _Phases:
    """``steps`` per axis, and of each phase (row, column) the channels that hold it, in order."""

    source: fx.Node
    steps: tuple[int, int]
    channels: dict[tuple[int, int], range]


def _read_phases(node: fx.Node) -> _Phases | None:
    name = operator_name(node)
    if name == "pixel_unshuffle":
        return _unshuffled(node)
    if name != "cat" or value_of(node).ndim != _IMAGE or arguments(node)["dim"] not in (1, -3):
        return None
    channels: dict[tuple[int, int], range] = {}
    found: set[tuple[fx.Node, tuple[int, int]]] = set()
    first = 0
    for piece in arguments(node)["tensors"]:
        source, phase, steps = _origin(piece)
        found.add((source, steps))
        count = value_of(piece).shape[1]
        channels[phase] = range(first, first + count)
        first += count
    if len(found) != 1:
        return None
    ((source, steps),) = found
    shape, part = value_of(source).shape, value_of(node).shape
    is_whole = all(shape[d] == part[d] * step for d, step in zip(_SPATIAL, steps, strict=True))
    every = {(row, column) for row in range(steps[0]) for column in range(steps[1])}
    is_each = channels.keys() == every and first == len(every) * shape[1]
    return _Phases(source, steps, channels) if is_whole and is_each and len(every) > 1 else None


def _unshuffled(node: fx.Node) -> _Phases | None:
    bound = arguments(node)
    source, step = bound["self"], bound["downscale_factor"]
    if value_of(node).ndim != _IMAGE or step == 1:
        return None
    squares, count = step * step, int(value_of(node).shape[1])
    channels = {
        (row, column): range(row * step + column, count, squares)
        for row in range(step)
        for column in range(step)
    }
    return _Phases(source, (step, step), channels)


def _origin(piece: fx.Node) -> tuple[fx.Node, tuple[int, int], tuple[int, int]]:
    """Return what slices of rows and columns are taken of, from where, and in which steps."""
    starts, steps = [0, 0], [1, 1]
    while operator_name(piece) == "slice":
        bound = arguments(piece)
        source: fx.Node = bound["self"]
        axis = bound["dim"] % value_of(source).ndim - _SPATIAL[0]
        size, start = static_sizes(value_of(source).shape[axis + 2 : axis + 3]), bound["start"] or 0
        if axis not in (0, 1) or size is None or not isinstance(start, int):
            break
        start = max(start + size[0], 0) if start < 0 else start
        starts[axis] = start + starts[axis] * bound["step"]
        steps[axis] *= bound["step"]
        piece = source
    return piece, (starts[0], starts[1]), (steps[0], steps[1])


def _obstacle(graph_module: fx.GraphModule, node: fx.Node, joined: fx.Node) -> str | None:
    bound = arguments(node)
    if any(operator_name(user) != "conv2d" for user in joined.users):
        return f"{joined.name} is also read by {readers(joined)}"
    if constant(graph_module, bound["weight"]) is None:
        return "its weights are computed in the graph"
    if isinstance(bound["padding"], str):
        return f"its padding is {bound['padding']!r}"
    if bound["groups"] != 1 or set(expand_list(bound["dilation"], 2)) != {1}:
        return f"it has groups ({bound['groups']}) or a dilation ({bound['dilation']})"
    return None


def _insert_convolution(graph_module: fx.GraphModule, node: fx.Node, phases: _Phases) -> fx.Node:
    bound = arguments(node)
    weight: Any = constant(graph_module, bound["weight"])
    spread = _spread(weight, phases)
    hint = f"{node.name}_phases_weight"
    stored = insert_constant(graph_module, hint, spread, before=node, like=node)
    scaled = [
        [size * step for size, step in zip(expand_list(bound[key], 2), phases.steps, strict=True)]
        for key in ("stride", "padding")
    ]
    args = (phases.source, stored, bound["bias"], *scaled)
    return insert_call(node.graph, torch.ops.aten.conv2d.default, args, before=node, like=node)


def _spread(weight: torch.Tensor, phases: _Phases) -> torch.Tensor:
    """Return the weights (out, in, s·rows, s·columns) of the image itself."""
    rows, columns = phases.steps
    outputs, inputs, height, width = weight.shape
    channels = inputs // (rows * columns)
    spread = weight.new_zeros(outputs, channels, height * rows, width * columns)
    for (row, column), places in phases.channels.items():
        spread[:, :, row::rows, column::columns] = weight[:, list(places)]
    return spread
