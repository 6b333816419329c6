"""Inputs of dtypes that Core ML lacks, taken as 32-bit integers."""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.errors import InputRefused
from cnn_export.program.program import Program
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.graph.operators import operator_name, value_of
from cnn_export.reparam.graph.surgery import insert_call

_not_equal = torch.ops.aten.ne.Scalar
_CASTS = frozenset({"to", "_to_copy", "type_as"})


def with_known_inputs(program: Program) -> Program:
    """Return the program with ``int32`` in place of ``bool`` and ``uint8`` inputs.

    A boolean is what is not 0. Bytes are read as numbers where the network makes floats of them
    first: other arithmetic on bytes wraps around at 256, and integers of 32 bits do not.

    Raises:
        InputRefused: the network computes with bytes.
    """
    lacking = [spec.name for spec in program.inputs if spec.dtype in (torch.bool, torch.uint8)]
    if not lacking:
        return program
    graph_module = copied(program.graph_module)
    nodes = graph_module.graph.find_nodes(op="placeholder")
    for spec, node in zip(program.inputs, nodes, strict=True):
        if spec.name not in lacking:
            continue
        if spec.dtype == torch.uint8 and _computing(node):
            raise InputRefused(
                f"input {spec.name} is uint8, which Core ML lacks, and {_computing(node)[0]} "
                "computes with its bytes; convert it to floats first"
            )
        node.meta["val"] = value_of(node).to(torch.int32)
        if spec.dtype == torch.bool:
            _let_be_boolean(node)
    graph_module.recompile()
    return program.with_graph(graph_module)


def _computing(node: fx.Node) -> list[str]:
    """Return the readers of an input that do not make floats of it first."""
    return [
        user.name
        for user in node.users
        if operator_name(user) not in _CASTS or not value_of(user).is_floating_point()
    ]


def _let_be_boolean(node: fx.Node) -> None:
    readers, args = list(node.users), (node, 0)
    meaning = insert_call(node.graph, _not_equal, args, before=node.next, like=node)
    for reader in readers:
        reader.replace_input_with(node, meaning)
