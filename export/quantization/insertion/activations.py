"""Put quantize and dequantize around the decided tensors."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.quantization.decision import TensorScale
from cnn_export.quantization.insertion.decomposed import (
    insert_dequantize,
    insert_quantize,
    integer_dtype,
)
from cnn_export.reparam.graph.operators import value_of

FLOAT = "float"


def insert_activation(node: fx.Node, scale: TensorScale, kind: str, border: str) -> None:
    """Let every user of ``node`` read what is left of it in ``kind`` (int8 or uint8).

    Each user gets a dequantize of its own: a shared one ties partitions of ExecuTorch together in
    circles. Where ``border`` is a dtype of integers, inputs and outputs are stored in that one.
    """
    users = list(node.users)
    if node.op == "placeholder" and border != FLOAT:
        integers = _insert_integer_input(node, scale, kind, border)
    else:
        integers = insert_quantize(node, scale, kind, before=_place_after(node), like=node)
    for user in users:
        if user.op == "output" and border != FLOAT:
            read = _insert_requantized(integers, scale, kind, border, before=user)
        else:
            like = node if user.op == "output" else user
            read = insert_dequantize(integers, scale, kind, before=user, like=like)
        user.replace_input_with(node, read)


def _insert_integer_input(node: fx.Node, scale: TensorScale, kind: str, border: str) -> fx.Node:
    """Let the placeholder hold integers of ``border`` and return them as ``kind``."""
    value = value_of(node)
    with torch.no_grad():
        node.meta["val"] = value.to(integer_dtype(border))
    return _insert_requantized(node, scale, border, kind, before=_place_after(node))


def _insert_requantized(
    integers: fx.Node, scale: TensorScale, kind: str, wanted: str, *, before: fx.Node
) -> fx.Node:
    """Return the same steps in another dtype: nothing is rounded, zero points differ by 128."""
    if kind == wanted:
        return integers
    real = insert_dequantize(integers, scale, kind, before=before, like=integers)
    return insert_quantize(real, scale, wanted, before=before, like=integers)


def _place_after(node: fx.Node) -> fx.Node:
    """Return the first node behind it that is neither an input nor a stored tensor.

    Inputs stay in front of every call, where all that reads graphs looks for them.
    """
    place = node.next
    while place.op in ("placeholder", "get_attr"):
        place = place.next
    return place
