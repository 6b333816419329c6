"""ExecuTorch programs (.pte) delegated to XNNPACK, run in the wheel's own runtime."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnn_export.artifact_files.executorch.reader import METADATA_PREFIX, ExecuTorchFile
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.command_line.packages import require
from cnn_export.errors import OperatorRefused
from cnn_export.program.program import Program
from cnn_export.program.tensors import Session, Tensors
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.passes.legalize.float_hard_sigmoid import FloatHardSigmoid
from cnn_export.targets import TARGETS, diagnosis, legalizations
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.executorch.uint8_borders import respell_uint8_borders
from cnn_export.targets.options import TargetOptions, refuse_foreign_options
from cnn_export.targets.quantized import is_quantization, require_quantized

_INPUT_NAMES = METADATA_PREFIX + "input_names"
_OUTPUT_NAMES = METADATA_PREFIX + "output_names"
"""The format has no names for tensors; they are kept as two more constant methods."""


class ExecuTorch:
    """The ``executorch`` target."""

    name = "executorch"
    suffix = ".pte"
    runtime = "executorch"
    legalization = legalizations.EXECUTORCH
    spelling = Spelling(activations="int8", weights="constant", biases="float")

    def versions(self) -> dict[str, str]:
        """Return the version of ExecuTorch (exporter, delegate and runtime are one wheel)."""
        return require("executorch", TARGETS["executorch"].packages)

    def refuse_options(self, options: TargetOptions) -> None:
        """Refuse what belongs to other formats."""
        refuse_foreign_options(options, self.name)

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        """Return the operators outside core ATen, which is all that ExecuTorch lowers."""
        graph = program.exported.run_decompositions().graph
        return diagnosis.unknown_operators(
            graph,
            lambda op: torch.Tag.core in op.tags or is_quantization(op),
            "it is not in ExecuTorch's core ATen set",
        )

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Lower to XNNPACK and write; the same program gives the same bytes."""
        require_quantized(program, options)
        given = _respelled(program, options)
        try:
            lowered = _lower(given, options)
            manager = lowered.to_executorch()
        except Exception as error:
            raise OperatorRefused(f"ExecuTorch cannot lower it{diagnosis.plain(error)}") from error
        with path.open("wb") as file:
            manager.write_to_file(file)

    def load(self, path: Path) -> Session:
        """Load the file in the runtime; outputs take the names stored in the file."""
        from executorch.runtime import Runtime

        program: Any = Runtime.get().load_program(path.read_bytes())
        inputs_in_order, names = _names(program, _INPUT_NAMES), _names(program, _OUTPUT_NAMES)

        def run(inputs: Tensors) -> Tensors:
            # Loading is cached; going through the program keeps the file's memory alive.
            method = program.load_method("forward")
            arrays = [np.ascontiguousarray(inputs[name]) for name in inputs_in_order]
            results = method.execute([torch.from_numpy(array) for array in arrays])
            # The runtime reuses the memory of its results in the next call.
            arrays = (value.numpy().copy() for value in results)
            return dict(zip(names, arrays, strict=True))

        return run

    def partitions(self, path: Path) -> PartitionReport:
        """Read delegate calls and kernel calls from the file."""
        return ExecuTorchFile(path).partitions()


def _names(program: Any, method: str) -> list[str]:
    return json.loads(program.load_method(method).execute([])[0])


def _respelled(program: Program, options: TargetOptions) -> Program:
    """Return a quantized program with hard sigmoids left in floats, and uint8, spelled out.

    Only now: int8 has one graph for all formats, and a decision on its nodes.
    """
    if options.precision != "int8":
        return program
    graph_module = copied(program.graph_module)
    FloatHardSigmoid()(graph_module)
    respell_uint8_borders(graph_module)
    graph_module.recompile()
    return program.with_graph(graph_module)


def _lower(program: Program, options: TargetOptions) -> Any:
    """Return the edge program, partitioned for XNNPACK, with the metadata as methods."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    logging.getLogger("executorch").setLevel(logging.ERROR)
    return to_edge_transform_and_lower(
        program.exported,
        partitioner=[XnnpackPartitioner()],
        constant_methods=_constant_methods(program, options),
    )


def _constant_methods(program: Program, options: TargetOptions) -> dict[str, str]:
    methods = {METADATA_PREFIX + key: value for key, value in options.metadata.items()}
    methods[_INPUT_NAMES] = json.dumps([spec.name for spec in program.inputs])
    methods[_OUTPUT_NAMES] = json.dumps([spec.name for spec in program.outputs])
    return dict(sorted(methods.items()))
