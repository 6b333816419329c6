"""Write a linear map back into the graph: one convolution, with explicit padding where needed."""

from __future__ import annotations

import dataclasses

import torch
from torch import fx

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.splice import insert_piece
from cnn_export.reparam.graph.surgery import insert_call, insert_constant
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap, dense_kernel
from cnn_export.reparam.passes.branches.algebra.footprint import (
    ZEROS,
    Axis,
    Footprint,
    NotRepresentable,
)
from cnn_export.reparam.passes.branches.algebra.leaf import LEADING_DIMS

_aten = torch.ops.aten
_CONVOLUTIONS = {
    1: _aten.conv1d.default,
    2: _aten.conv2d.default,
    3: _aten.conv3d.default,
}


@dataclasses.dataclass(frozen=True)
class Border:
    """What stands between a source and a convolution that cannot read it as it is.

    ``crops`` are (axis, start, end) of the positions that are read, ``widths`` then pad, last axis
    first, none of them negative: runtimes crop by slices alone.
    """

    crops: tuple[tuple[int, int, int], ...]
    widths: tuple[int, ...]
    mode: str

    def sizes(self, size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the size of the image, and what each crop and the padding make of it."""
        sizes = [size]
        for axis, start, end in self.crops:
            sizes.append((*sizes[-1][:axis], end - start, *sizes[-1][axis + 1 :]))
        if any(self.widths):
            grown = zip(sizes[-1], self.widths[-2::-2], self.widths[-1::-2], strict=True)
            sizes.append(tuple(map(sum, grown)))
        return sizes


def explicit_border(footprint: Footprint) -> Border | None:
    """Return what the convolution needs in front if it cannot read the source by itself.

    It pads with zeros, equally on both sides; the last window may leave positions unread.

    Raises:
        NotRepresentable: the axes read outside in different ways.
    """
    if all(_can_pad(axis) for axis in footprint.axes):
        return None
    modes = {axis.border for axis in footprint.axes if axis.reads_outside}
    if len(modes) > 1:
        raise NotRepresentable(f"its axes have {' and '.join(sorted(modes))} borders")
    edges = [(axis.before, _after(axis)) for axis in footprint.axes]
    if any(min(edge) < 0 for edge in edges) and modes - {ZEROS}:
        raise NotRepresentable(f"it crops one side and continues another ({modes.pop()})")
    crops = tuple(
        (number, max(-before, 0), axis.size_in - max(-after, 0))
        for number, (axis, (before, after)) in enumerate(zip(footprint.axes, edges, strict=True))
        if before < 0 or after < 0
    )
    widths = tuple(max(width, 0) for edge in reversed(edges) for width in edge)
    return Border(crops, widths, next(iter(modes), ZEROS))


class MergedTensors:
    """Weights stored by one run of the merge: a block that is called twice gives equal ones."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._known: dict[tuple[object, ...], list[tuple[torch.Tensor, fx.Node]]] = {}

    def store(self, name: str, tensor: torch.Tensor, before: fx.Node) -> fx.Node:
        """Return a node in front of ``before`` that reads the tensor."""
        known = self._known.setdefault((*tensor.shape, float(tensor.sum())), [])
        for each, node in known:
            if torch.equal(each, tensor):
                with before.graph.inserting_before(before):
                    return before.graph.node_copy(node)
        node = insert_constant(self._graph_module, name, tensor, before=before, like=before)
        known.append((tensor, node))
        return node


def insert_convolution(
    tensors: MergedTensors, found: ConvolutionMap, source: fx.Node, *, before: fx.Node
) -> fx.Node:
    """Add ``found(source)`` in front of ``before``, with weights in the dtype of ``source``."""
    graph, dtype = before.graph, value_of(source).dtype

    def store(hint: str, tensor: torch.Tensor) -> fx.Node:
        return tensors.store(f"{before.name}_merged_{hint}", tensor.to(dtype).contiguous(), before)

    weight = store("weight", dense_kernel(found))
    bias = store("bias", found.bias) if bool(found.bias.any()) else None
    shape = found.footprint
    if not shape.axes:
        args = (source, weight, bias)
        return insert_call(graph, _aten.linear.default, args, before=before, like=before)
    border = explicit_border(shape)
    if border is not None:
        source = _insert_border(source, border, before)
    return insert_call(
        graph,
        _CONVOLUTIONS[len(shape.axes)],
        (
            source,
            weight,
            bias,
            [axis.stride for axis in shape.axes],
            [axis.before if border is None else 0 for axis in shape.axes],
            [axis.dilation for axis in shape.axes],
            shape.groups,
        ),
        before=before,
        like=before,
    )


def _insert_border(source: fx.Node, border: Border, before: fx.Node) -> fx.Node:
    for axis, start, end in border.crops:
        dim = LEADING_DIMS + axis
        source = insert_piece(source, dim, start, end, before=before, like=before)
    if not any(border.widths):
        return source
    args = (source, list(border.widths), border.mode)
    return insert_call(before.graph, _aten.pad.default, args, before=before, like=before)


def _after(axis: Axis) -> int:
    """Return the positions to add behind; none is cut that a stride leaves unread anyway."""
    uncut = (axis.size_in + axis.before - _reach(axis)) // axis.stride + 1
    return 0 if axis.after < 0 and uncut == axis.size_out else axis.after


def _reach(axis: Axis) -> int:
    return axis.dilation * (axis.kernel - 1) + 1


def _can_pad(axis: Axis) -> bool:
    """Whether ``padding=before`` on both sides gives just the outputs that exist."""
    if axis.before < 0 or (axis.reads_outside and axis.border != ZEROS):
        return False
    windows = (axis.size_in + 2 * axis.before - _reach(axis)) // axis.stride + 1
    return windows == axis.size_out
