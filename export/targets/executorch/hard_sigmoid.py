"""ExecuTorch's spelling of hard-sigmoid.

aten.hardsigmoid  ⇒  clamp(x + 3, 0, 6) · 1/6   (the same function, float constants)

Decomposed by torch itself, the operator carries integer scalars, which ExecuTorch converts by a
kernel call per scalar and inference, outside the delegate (18 of them in MobileNetV3-Small), and
which give wrong results in float16.
"""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.program.program import Program
from cnn_export.targets.graph_copy import with_edited_copy

_HARD_SIGMOID = torch.ops.aten.hardsigmoid.default


def spelled_out(program: Program) -> Program:
    """Return the program without ``aten.hardsigmoid``; unchanged where there is none."""
    graph = program.graph_module.graph
    if not graph.find_nodes(op="call_function", target=_HARD_SIGMOID):
        return program
    return with_edited_copy(program, _replace_all)


def _replace_all(module: fx.GraphModule) -> None:
    for node in module.graph.find_nodes(op="call_function", target=_HARD_SIGMOID):
        _replace(module, node)


def _replace(module: fx.GraphModule, node: fx.Node) -> None:
    dtype = node.meta["val"].dtype
    graph = module.graph
    source = node.args[0]
    with graph.inserting_before(node):
        three = _constant(module, "hard_sigmoid_three", 3.0, dtype)
        sixth = _constant(module, "hard_sigmoid_sixth", 1 / 6, dtype)
        shifted = graph.call_function(torch.ops.aten.add.Tensor, (source, three))
        clamped = graph.call_function(torch.ops.aten.hardtanh.default, (shifted, 0.0, 6.0))
        scaled = graph.call_function(torch.ops.aten.mul.Tensor, (clamped, sixth))
    node.replace_all_uses_with(scaled)


def _constant(module: fx.GraphModule, name: str, value: float, dtype: torch.dtype) -> fx.Node:
    if not hasattr(module, name):
        module.register_buffer(name, torch.tensor([value], dtype=dtype))
    return module.graph.get_attr(name)
