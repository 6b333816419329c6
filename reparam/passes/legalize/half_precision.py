"""Compute in float16 between inputs and outputs of the network's own dtype."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from cnn_export.reparam.graph.attributes import attribute
from cnn_export.reparam.graph.copies import adopt, copied
from cnn_export.reparam.graph.operators import value_of
from cnn_export.reparam.graph.precision import cast_stored
from cnn_export.reparam.graph.surgery import fake_result, fake_tensor, insert_call
from cnn_export.reparam.program_pass import PassResult, ProgramPass, Refusal

_HALF = torch.float16
_TO = torch.ops.aten.to.dtype


class HalfPrecision(ProgramPass):
    """f(x)  ⇒  float(f16(half(x))), f16 the same operators on weights rounded to float16.

    *Given* a graph of any floating dtype. *Result* stored tensors and arithmetic in float16, inputs
    and outputs as they were, so that a caller never has to know which precision a file holds.

    The one pass that changes the function: by rounding, and by nothing else (see
    :mod:`cnn_export.reparam.proof.narrowing`). A graph that fixes a dtype inside is refused where
    an operator does not take both.
    """

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        """Round the stored tensors, and convert what enters and leaves."""
        work = copied(graph_module)
        entering = [node for node in work.graph.find_nodes(op="placeholder") if _enters(node)]
        rounded = _round_stored(work)
        if not entering and not rounded:
            return PassResult(self.name)
        for node in entering:
            _convert_input(node)
        output = work.graph.output_node()
        results: Any = output.args[0]
        dtypes = [value_of(node).dtype for node in results]
        refusal = _infer_dtypes(work)
        if refusal is not None:
            return PassResult(self.name, refusals=(refusal,))
        output.args = (tuple(map(_convert_output, results, dtypes)),)
        adopt(graph_module, work)
        return PassResult(self.name, (*(node.name for node in entering), *rounded))


def _enters(node: fx.Node) -> bool:
    """Whether an input is read in another floating dtype than float16."""
    value = value_of(node)
    if not value.is_floating_point() or value.dtype == _HALF:
        return False
    return any(user.target is not _TO or user.args[1] is not _HALF for user in node.users)


def _round_stored(work: fx.GraphModule) -> list[str]:
    stored = work.state_dict()
    rounded = [name for name, each in stored.items() if _is_wider(each)]
    for dtype in {stored[name].dtype for name in rounded}:
        cast_stored(work, dtype, _HALF)
    return rounded


def _is_wider(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() and tensor.dtype != _HALF


def _convert_input(node: fx.Node) -> None:
    last = node.graph.find_nodes(op="placeholder")[-1]
    readers = list(node.users)
    half = insert_call(node.graph, _TO, (node, _HALF), before=last.next, like=node)
    for reader in readers:
        reader.replace_input_with(node, half)


def _infer_dtypes(work: fx.GraphModule) -> Refusal | None:
    """Give every node the value it has now; refuse at the first that has none."""
    for node in work.graph.nodes:
        if node.op == "get_attr":
            node.meta["val"] = fake_tensor(work.graph, attribute(work, str(node.target)))
        elif node.op == "call_function":
            try:
                node.meta["val"] = fake_result(node)
            except Exception as error:  # whatever torch raises where dtypes do not agree
                first = str(error).strip().partition("\n")[0]
                reason = f"the network cannot run in float16: {first}; use --precision fp32"
                return Refusal(node.name, reason)
    return None


def _convert_output(node: fx.Node, dtype: torch.dtype) -> fx.Node:
    if value_of(node).dtype == dtype:
        return node
    return insert_call(node.graph, _TO, (node, dtype), before=node.graph.output_node(), like=node)
