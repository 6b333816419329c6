"""Write a linear map back into the graph: one convolution, with explicit padding where needed."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.surgery import insert_call, insert_constant
from cnn_export.reparam.passes.branches.algebra.convolution_map import ConvolutionMap, dense_kernel
from cnn_export.reparam.passes.branches.algebra.footprint import (
    ZEROS,
    Axis,
    Footprint,
    NotRepresentable,
)

_aten = torch.ops.aten
_CONVOLUTIONS = {
    1: _aten.conv1d.default,
    2: _aten.conv2d.default,
    3: _aten.conv3d.default,
}


def explicit_padding(footprint: Footprint) -> list[int] | None:
    """Return ``torch.pad`` widths (last axis first) if the convolution cannot pad by itself.

    It pads with zeros, equally on both sides; the last window may leave positions unread.

    Raises:
        NotRepresentable: the axes read outside in different ways.
    """
    if all(_can_pad(axis) for axis in footprint.axes):
        return None
    modes = {axis.border for axis in footprint.axes if axis.reads_outside}
    if len(modes) > 1:
        raise NotRepresentable(f"its axes have {' and '.join(sorted(modes))} borders")
    crops = any(axis.before < 0 or axis.after < 0 for axis in footprint.axes)
    if crops and modes - {ZEROS}:
        raise NotRepresentable(f"it crops one side and continues another ({modes.pop()})")
    return [width for axis in reversed(footprint.axes) for width in (axis.before, axis.after)]


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
    widths = explicit_padding(shape)
    if widths is not None:
        mode = next((axis.border for axis in shape.axes if axis.reads_outside), ZEROS)
        args = (source, widths, mode)
        source = insert_call(graph, _aten.pad.default, args, before=before, like=before)
    return insert_call(
        graph,
        _CONVOLUTIONS[len(shape.axes)],
        (
            source,
            weight,
            bias,
            [axis.stride for axis in shape.axes],
            [axis.before if widths is None else 0 for axis in shape.axes],
            [axis.dilation for axis in shape.axes],
            shape.groups,
        ),
        before=before,
        like=before,
    )


def _can_pad(axis: Axis) -> bool:
    """Whether ``padding=before`` on both sides gives just the outputs that exist."""
    if axis.before < 0 or (axis.reads_outside and axis.border != ZEROS):
        return False
    reach = axis.dilation * (axis.kernel - 1) + 1
    return (axis.size_in + 2 * axis.before - reach) // axis.stride + 1 == axis.size_out
