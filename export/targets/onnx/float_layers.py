"""Keep layers float in ONNX Runtime that are float in the file.

Its optimizer ``WeightBiasQuantization`` takes a layer with float weights behind a
``DequantizeLinear`` for one that somebody forgot: it rounds the weights to int8, one scale for all
channels, and computes in integers. It does so where the activation has one scale. A scale for each
channel, all of them equal, dequantizes to the same values and keeps the layer as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_CHANNEL_AXIS = 1
"""Of a layer's input: (N, C, H, W) or (N, C)."""


def keep_layers_float(model: Any) -> None:
    """Dequantize what float layers read with a scale per channel, in place."""
    stored = {each.name: each for each in model.graph.initializer}
    made = {out: node for node in model.graph.node for out in node.output}
    nodes: list[Any] = []
    written: set[str] = set()
    for node in model.graph.node:
        channels = _channels(node, stored)
        source = made.get(node.input[0]) if channels is not None else None
        if channels is not None and source is not None and _has_one_scale(source, stored):
            apart = _dequantized_apart(model, source, channels, stored)
            node.input[0] = apart.output[0]
            nodes += [] if apart.name in written else [apart]
            written.add(apart.name)
        nodes.append(node)
    if written:
        _write_read_nodes(model, nodes)


def _channels(layer: Any, stored: dict[str, Any]) -> int | None:
    """Return how many channels a layer with float weights takes; ``None``: it is no such layer."""
    weight = stored.get(layer.input[1]) if len(layer.input) > 1 else None
    if weight is None:
        return None
    attributes = {each.name: each.i for each in layer.attribute}
    match layer.op_type:
        case "Conv":
            return weight.dims[1] * attributes.get("group", 1)
        case "ConvTranspose":
            return weight.dims[0]
        case "Gemm":
            return weight.dims[1 if attributes.get("transB", 0) else 0]
        case _:
            return None


def _has_one_scale(node: Any, stored: dict[str, Any]) -> bool:
    if node.op_type != "DequantizeLinear" or len(node.input) < 3:
        return False
    scale, zero_point = (stored.get(name) for name in node.input[1:3])
    return scale is not None and zero_point is not None and np.prod(scale.dims) == 1


def _dequantized_apart(model: Any, source: Any, channels: int, stored: dict[str, Any]) -> Any:
    from onnx import helper, numpy_helper

    names: list[str] = []
    for name in source.input[1:3]:
        value = np.broadcast_to(numpy_helper.to_array(stored[name]), channels)
        names.append(f"{name}_of_{channels}_channels")
        if names[-1] not in stored:
            stored[names[-1]] = numpy_helper.from_array(np.ascontiguousarray(value), names[-1])
            model.graph.initializer.append(stored[names[-1]])
    result = f"{source.output[0]}_of_{channels}_channels"
    return helper.make_node(
        "DequantizeLinear", [source.input[0], *names], [result], name=result, axis=_CHANNEL_AXIS
    )


def _write_read_nodes(model: Any, nodes: list[Any]) -> None:
    """Write the nodes anew, without what dequantized for the layers before."""
    read = {name for node in nodes for name in node.input}
    read |= {each.name for each in model.graph.output}
    kept = [
        node
        for node in nodes
        if node.op_type != "DequantizeLinear" or not read.isdisjoint(node.output)
    ]
    del model.graph.node[:]
    model.graph.node.extend(kept)
