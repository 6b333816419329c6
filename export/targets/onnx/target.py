"""ONNX through torch's exporter, simplified by onnxsim, run in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnn_export.artifact_files.onnx.reader import OnnxFile
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.command_line.packages import require
from cnn_export.errors import OperatorRefused, UsageError
from cnn_export.program.program import Program
from cnn_export.program.tensors import Session, Tensors
from cnn_export.quantization.spelling import Spelling
from cnn_export.targets import TARGETS, diagnosis, legalizations
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.onnx import model_proto
from cnn_export.targets.onnx.dynamic_layers import with_dynamic_layers
from cnn_export.targets.onnx.float_layers import keep_layers_float
from cnn_export.targets.onnx.global_averages import with_global_averages
from cnn_export.targets.options import TargetOptions, refuse_foreign_options
from cnn_export.targets.quantized import is_quantized, require_quantized

OPSETS = range(18, 24)
"""Opsets that torch's exporter writes and ONNX Runtime's CPU kernels cover."""

_DEFAULT_OPSET = 20


class Onnx:
    """The ``onnx`` target."""

    name = "onnx"
    suffix = ".onnx"
    runtime = "onnxruntime"
    legalization = legalizations.ONNX
    spelling = Spelling(activations="uint8", weights="constant", biases="int32")

    def versions(self) -> dict[str, str]:
        """Return the versions of the exporter's packages and the runtime."""
        return require("onnx", TARGETS["onnx"].packages)

    def refuse_options(self, options: TargetOptions) -> None:
        """Refuse what belongs to other formats and opsets that cannot be written."""
        refuse_foreign_options(options, self.name)
        if options.opset is not None and options.opset not in OPSETS:
            raise UsageError(
                f"--opset {options.opset} is not available; choose {OPSETS[0]} to {OPSETS[-1]}"
            )

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        """Return the operators that torch's exporter has no translation for."""
        from torch.onnx._internal.exporter import _decomp, _registration

        registry = _registration.ONNXRegistry.from_torchlib()
        implemented: Any = _decomp.get_onnx_implemented_overloads(registry)
        table: Any = _decomp.create_onnx_friendly_decomposition_table(implemented)
        return diagnosis.unknown_operators(
            program.exported.run_decompositions(table).graph,
            registry.is_registered,
            "torch's ONNX exporter has no translation",
        )

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Convert, simplify, check and write; the same program gives the same bytes.

        A quantized graph is not simplified: folding constants would dequantize its weights.
        """
        require_quantized(program, options)
        model = _convert(program, options)
        if options.precision == "int8-dynamic":
            with_dynamic_layers(model)
        if is_quantized(options):
            with_global_averages(model)
            keep_layers_float(model)
        else:
            model = model_proto.simplified(model, _feeds(program))
        model_proto.finish(model, options.metadata, options.ir_version)
        path.write_bytes(model.SerializeToString(deterministic=True))

    def load(self, path: Path) -> Session:
        """Load the file in ONNX Runtime's CPU provider."""
        session = model_proto.session(str(path))
        names = [output.name for output in session.get_outputs()]

        def run(inputs: Tensors) -> Tensors:
            values: list[Any] = session.run(names, inputs)
            return {name: np.asarray(v) for name, v in zip(names, values, strict=True)}

        return run

    def partitions(self, path: Path) -> PartitionReport:
        """Return the node count; a session that loads runs every node in the CPU provider."""
        return OnnxFile(path).partitions()


def _convert(program: Program, options: TargetOptions) -> Any:
    import torch

    opset = options.opset or _DEFAULT_OPSET
    try:
        converted: Any = torch.onnx.export(
            program.exported,
            (),
            dynamo=True,
            verbose=False,
            optimize=True,
            opset_version=opset,
            input_names=[spec.name for spec in program.inputs],
            output_names=[spec.name for spec in program.outputs],
        )
    except Exception as error:
        raise OperatorRefused(
            f"torch's ONNX exporter cannot convert it{diagnosis.plain(error)}"
        ) from error
    model = converted.model_proto
    model_proto.require_opset(model, opset)
    return model


def _feeds(program: Program) -> Tensors:
    return {
        spec.name: tensor.numpy()
        for spec, tensor in zip(program.inputs, program.example_inputs, strict=True)
    }
