"""Integers for all the weights that a graph has integers for.

The converter keeps a convolution's weights as int8 behind a ``DEQUANTIZE``, which XNNPACK computes
once, when the file is loaded. A linear layer's it computes itself and stores as float32, four times
the bytes: those are found by their content, and stored as what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import fx

from cnn_export.errors import OperatorRefused
from cnn_export.program.tensors import Array
from cnn_export.quantization.insertion.decomposed import QUANTIZE_PER_CHANNEL
from cnn_export.quantization.insertion.integers import weight_integers
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.operators import overload
from cnn_export.targets.tflite.flatbuffer import (
    SubgraphEditor,
    empty_unused_buffers,
    read_model,
    written,
)

_Weights = tuple[fx.Node, Array, Array, Array]
"""The layer's quantize, its weights on their grid in float32, the integers, the scales (out,)."""


def with_int8_weights(content: bytes, graph_module: fx.GraphModule) -> bytes:
    """Return the file with every weight in int8 that the graph quantizes per channel.

    Raises:
        OperatorRefused: the file holds the weights of a layer in another form.
    """
    model, weights = read_model(content), list(_weights(graph_module))
    editors = [SubgraphEditor(model, each) for each in model.subgraphs]
    for editor in editors:
        _store_integers(editor, {floats.tobytes(): (q, s) for _, floats, q, s in weights})
    stored = {key for editor in editors for key in _stored(editor)}
    missing = [node.name for node, _, q, s in weights if _key(q, s) not in stored]
    if missing:
        raise OperatorRefused(
            f"litert-torch left the int8 weights of {missing[0]} in another form; --keep-float"
            " keeps a layer's weights as they are"
        )
    empty_unused_buffers(model)
    return written(model)


def _weights(graph_module: fx.GraphModule) -> Iterator[_Weights]:
    for node in graph_module.graph.nodes:
        if overload(node) is QUANTIZE_PER_CHANNEL:
            sources: tuple[Any, ...] = node.args[:2]
            floats, scales = (constant(graph_module, each) for each in sources)
            if floats is None or scales is None:
                raise ValueError(f"{node.name} quantizes what is not stored")
            integers = weight_integers(floats, scales, int(str(node.args[3])))
            with torch.no_grad():
                yield node, floats.numpy(), integers.numpy(), scales.numpy()


def _store_integers(editor: SubgraphEditor, known: dict[bytes, tuple[Array, Array]]) -> None:
    """Put integers and a ``DEQUANTIZE`` in place of floats that are those of a layer."""
    if not known:
        return
    before: list[Any] = []
    for operator in editor.operators:
        if editor.name(operator) != "FULLY_CONNECTED":
            continue
        tensor = operator.inputs[1]
        found = known.get(editor.content(tensor))
        if found is not None:
            before.append(editor.call("DEQUANTIZE", editor.stored_int8(tensor, *found), tensor))
            editor.computed(tensor)
    if before:
        editor.operators[:0] = before
        editor.read_per_channel()


def _stored(editor: SubgraphEditor) -> Iterator[bytes]:
    for operator in editor.operators:
        if editor.name(operator) == "DEQUANTIZE" and editor.content(operator.inputs[0]):
            tensor = operator.inputs[0]
            integers = np.frombuffer(editor.content(tensor), dtype=np.int8)
            yield _key(integers, editor.scales(tensor))


def _key(integers: Array, scales: Array) -> bytes:
    """Return what is equal for one set of weights in any layout."""
    return np.sort(integers, axis=None).tobytes() + scales.tobytes()
