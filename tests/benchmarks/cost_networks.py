"""Artifacts that the cost tests read: exported without the tool's own proofs, which cost time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import torch
from torch import nn

from cnn_export.artifact_files.formats import (
    ArtifactFile,
    opened,
    refusing_whatever_happens,
    require_readable,
)
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.reading import cost_of, read_costs
from cnn_export.job.legalization import legalize
from cnn_export.job.quiet import quiet
from cnn_export.program.program import capture
from cnn_export.targets import TARGETS, load_target
from cnn_export.targets.options import TargetOptions

SUFFIX = {target: load_target(target).suffix for target in TARGETS}


def with_random_biases(module: nn.Module) -> nn.Module:
    """Return the module with no bias of zero: exporters drop those, each in its own way."""
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, 0.1, 0.2)
    return networks.seeded(module)


def lowered(
    module: nn.Module, target: str, folder: Path, shape: tuple[int, ...], *, batch: bool = False
) -> Path:
    """Write a network in one format and return the file."""
    torch.manual_seed(0)
    program = capture(module.eval(), (torch.randn(shape),), dynamic_batch=batch)
    chosen, path = load_target(target), folder / f"network{SUFFIX[target]}"
    taken = legalize(program, {target: chosen.legalization}, reparam=False)[target].program
    with quiet():
        chosen.export(taken, TargetOptions(), path)
    return path


def save_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    constants: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write float32 inputs and outputs around nodes as an ONNX file."""

    def value(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [value(*each) for each in inputs.items()],
        [value(*each) for each in outputs.items()],
        [onnx.numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
    )
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.acme", 1)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
    return path


def read_cost(path: Path) -> ArtifactCost:
    (cost,) = read_costs([path])
    return cost


def cost_here(path: Path) -> ArtifactCost:
    """Read in this process: a damaged file costs no new one."""
    return cost_of(_read_here(path, lambda file: file.graph()), path)


def metadata_here(path: Path) -> dict[str, str]:
    return _read_here(path, lambda file: file.metadata())


def _read_here(path: Path, ask: Callable[[ArtifactFile], Any]) -> Any:
    require_readable(path)
    with refusing_whatever_happens(path):
        return ask(opened(path))
