"""A decided program in one converter's spelling, with float or integer inputs and outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import fx

from cnn_export.program.program import Program
from cnn_export.program.tensors import TensorSpec
from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.insertion.decomposed import integer_dtype
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Border, Spelling

_UINT8_OFFSET = 128


def spelled_program(
    program: Program, decision: Decision, spelling: Spelling, border: Border
) -> Program:
    """Return the program with the decision in its graph, its specs as the border says."""
    scales = border_scales(program, decision, border)
    return dataclasses.replace(
        program,
        graph_module=quantized_graph(program.graph_module, decision, spelling, io=border),
        inputs=tuple(_spec(spec, scales, border) for spec in program.inputs),
        outputs=tuple(_spec(spec, scales, border) for spec in program.outputs),
        example_inputs=tuple(
            integers(value, scales[spec.name], border) if spec.name in scales else value
            for spec, value in zip(program.inputs, program.example_inputs, strict=True)
        ),
    )


def border_scales(program: Program, decision: Decision, border: Border) -> dict[str, TensorScale]:
    """Return the scale of every integer input and output by name, zero points as in the file."""
    if border == "float":
        return {}
    graph = program.graph_module.graph
    results: Any = graph.output_node().args[0]
    nodes: list[fx.Node] = [*graph.find_nodes(op="placeholder"), *results]
    specs = (*program.inputs, *program.outputs)
    offset = _UINT8_OFFSET if border == "uint8" else 0
    return {
        spec.name: dataclasses.replace(scale, zero_point=scale.zero_point + offset)
        for spec, node in zip(specs, nodes, strict=True)
        if (scale := decision.tensors.get(node.name)) is not None
    }


def integers(real: torch.Tensor, scale: TensorScale, border: Border) -> torch.Tensor:
    """Return real values as the border's integers, rounded half to even."""
    dtype = integer_dtype(border)
    limits = torch.iinfo(dtype)
    steps = (real.double() / scale.scale).round() + scale.zero_point
    return steps.clamp(limits.min, limits.max).to(dtype)


def _spec(spec: TensorSpec, scales: dict[str, TensorScale], border: Border) -> TensorSpec:
    if spec.name not in scales:
        return spec
    return dataclasses.replace(spec, dtype=integer_dtype(border))
