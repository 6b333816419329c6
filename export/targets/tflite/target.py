"""TFLite (LiteRT) files through litert-torch, run in ai-edge-litert.

float16 files hold float16 weights that the runtime widens (the format's standard form); the
arithmetic of a CPU run is float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.artifact_files.tflite.partitions import planned_partitions
from cnn_export.command_line.packages import require
from cnn_export.program.program import Program
from cnn_export.program.tensors import Session, Tensors, TensorSpec
from cnn_export.quantization.spelling import Spelling
from cnn_export.targets import TARGETS, diagnosis, legalizations
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.options import TargetOptions, refuse_foreign_options
from cnn_export.targets.quantized import require_quantized
from cnn_export.targets.tflite.borders import with_float_borders
from cnn_export.targets.tflite.conversion import converted
from cnn_export.targets.tflite.fences import fence
from cnn_export.targets.tflite.float_islands import restored
from cnn_export.targets.tflite.stored_weights import with_int8_weights

_FLOAT16_WEIGHTS: list[dict[str, Any]] = [
    {
        "regex": ".*",
        "operation": "*",
        "algorithm_key": "float_casting",
        "op_config": {
            "weight_tensor_config": {
                "num_bits": 16,
                "symmetric": True,
                "granularity": "TENSORWISE",
                "dtype": "FLOAT",
            },
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
            "skip_checks": False,
        },
    }
]

_DROPPED = ("aten._assert_tensor_metadata.default",)
"""What decomposing adds and the converter leaves out: it computes nothing."""


class TFLite:
    """The ``tflite`` target."""

    name = "tflite"
    suffix = ".tflite"
    runtime = "ai-edge-litert"
    legalization = legalizations.TFLITE
    spelling = Spelling(activations="int8", weights="requantized", biases="float")

    def versions(self) -> dict[str, str]:
        """Return the versions of the converter, the quantizer and the runtime."""
        return require("tflite", TARGETS["tflite"].packages)

    def refuse_options(self, options: TargetOptions) -> None:
        """Refuse what belongs to other formats."""
        refuse_foreign_options(options, self.name)

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        """Return the operators that litert-torch has no lowering for."""
        from litert_torch.backend import lowerings
        from litert_torch.fx_infra import decomp

        table: Any = decomp.pre_lower_decomp()
        return diagnosis.unknown_operators(
            program.exported.run_decompositions(table).graph,
            lambda op: str(op) in _DROPPED or lowerings.lookup(op) is not None,
            "litert-torch has no lowering",
        )

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Convert and write; the same program gives the same bytes."""
        require_quantized(program, options)
        path.write_bytes(_content(program, options))

    def load(self, path: Path) -> Session:
        """Load the file in the interpreter with its default XNNPACK delegate."""
        from ai_edge_litert.interpreter import Interpreter

        runner: Any = Interpreter(model_path=str(path)).get_signature_runner()

        dtypes = {name: each["dtype"] for name, each in runner.get_input_details().items()}

        def run(inputs: Tensors) -> Tensors:
            # The converter stores 64-bit inputs as 32-bit ones.
            given = {name: np.asarray(value, dtypes.get(name)) for name, value in inputs.items()}
            return {name: np.asarray(value) for name, value in runner(**given).items()}

        return run

    def partitions(self, path: Path) -> PartitionReport:
        """Return what XNNPACK takes of the file, as the interpreter planned it."""
        return planned_partitions(path)


def _content(program: Program, options: TargetOptions) -> bytes:
    match options.precision:
        case "int8":
            return _integers(program, options)
        case "int8-weights":
            return with_int8_weights(converted(program, options), program.graph_module)
        case "fp16":
            return _float16_weights(converted(program, options))
        case "fp32" | "int8-dynamic":
            return converted(program, options)


def _integers(program: Program, options: TargetOptions) -> bytes:
    floats = with_float_borders(program)
    kind = fence(floats.graph_module)
    inputs, outputs = _dtypes(program.inputs), _dtypes(program.outputs)
    return restored(converted(floats, options), inputs, outputs, fence=kind)


def _dtypes(specs: Iterable[TensorSpec]) -> dict[str, str]:
    return {spec.name: spec.dtype_name for spec in specs}


def _float16_weights(content: bytes) -> bytes:
    from ai_edge_quantizer import quantizer

    result: Any = quantizer.Quantizer(content, _FLOAT16_WEIGHTS).quantize()
    return bytes(result.quantized_model)
