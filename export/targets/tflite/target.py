"""TFLite (LiteRT) files through litert-torch, run in ai-edge-litert.

float16 files hold float16 weights that the runtime widens (the format's standard form); the
arithmetic of a CPU run is float32.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export import Dim

from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.artifact_files.tflite.partitions import planned_partitions
from cnn_export.command_line.packages import require
from cnn_export.errors import OperatorRefused
from cnn_export.program.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, is_image
from cnn_export.program.program import BATCH_MAX, Program
from cnn_export.program.tensors import Layout, Session, Tensors, TensorSpec
from cnn_export.targets import diagnosis, legalizations
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.options import TargetOptions, refuse_foreign_options

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


class TFLite:
    """The ``tflite`` target."""

    name = "tflite"
    suffix = ".tflite"
    runtime = "ai-edge-litert"
    legalization = legalizations.TFLITE

    def versions(self) -> dict[str, str]:
        """Return the versions of the converter, the quantizer and the runtime."""
        return require("tflite", ["litert-torch", "ai-edge-litert", "ai-edge-quantizer"])

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
            lambda op: lowerings.lookup(op) is not None,
            "litert-torch has no lowering",
        )

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        """Convert and write; the same program gives the same bytes."""
        content = _convert(program, options)
        if options.precision == "fp16":
            content = _float16_weights(content)
        path.write_bytes(content)

    def load(self, path: Path) -> Session:
        """Load the file in the interpreter with its default XNNPACK delegate."""
        from ai_edge_litert.interpreter import Interpreter

        runner: Any = Interpreter(model_path=str(path)).get_signature_runner()

        def run(inputs: Tensors) -> Tensors:
            return {name: np.asarray(value) for name, value in runner(**inputs).items()}

        return run

    def partitions(self, path: Path) -> PartitionReport:
        """Return what XNNPACK takes of the file, as the interpreter planned it."""
        return planned_partitions(path)


def _named_graph(program: Program, layout: Layout) -> fx.GraphModule:
    """Return the program with inputs and outputs by name, images in ``layout``.

    litert-torch takes names from the arguments of ``forward`` and the keys of a returned dict.
    """
    graph = fx.Graph()
    values: dict[fx.Node, Any] = {}
    nodes = program.graph_module.graph.find_nodes(op="placeholder")
    for spec, node in zip(program.inputs, nodes, strict=True):
        values[node] = _reordered(graph, graph.placeholder(spec.name), spec, layout, NHWC_TO_NCHW)
    results: Any = graph.graph_copy(program.graph_module.graph, values)
    graph.output(
        {
            spec.name: _reordered(graph, value, spec, layout, NCHW_TO_NHWC)
            for spec, value in zip(program.outputs, results, strict=True)
        }
    )
    return fx.GraphModule(program.graph_module, graph).eval()


def _reordered(
    graph: fx.Graph, value: fx.Node, spec: TensorSpec, layout: Layout, axes: tuple[int, ...]
) -> fx.Node:
    if layout == "nchw" or not is_image(spec):
        return value
    return graph.call_function(torch.ops.aten.permute.default, (value, list(axes)))


def _convert(program: Program, options: TargetOptions) -> bytes:
    import litert_torch
    from litert_torch.progress import config

    config.show_progress = False
    samples = _samples(program, options.layout)
    level = logging.getLogger().level
    try:
        model: Any = litert_torch.convert(
            _named_graph(program, options.layout),
            sample_kwargs=samples,
            dynamic_shapes=_batch_of(samples) if program.dynamic_batch else None,
        )
        return _with_metadata(model, options)
    except Exception as error:
        raise OperatorRefused(f"litert-torch cannot convert it{diagnosis.plain(error)}") from error
    finally:
        # litert-torch lowers the root logger's level for good.
        logging.getLogger().setLevel(level)


def _batch_of(samples: dict[str, torch.Tensor]) -> dict[str, Any]:
    batch = Dim("batch", min=1, max=BATCH_MAX)
    return {name: {0: batch} for name in samples}


def _samples(program: Program, layout: Layout) -> dict[str, torch.Tensor]:
    return {
        spec.name: tensor.permute(NCHW_TO_NHWC).contiguous()
        if layout == "nhwc" and is_image(spec)
        else tensor
        for spec, tensor in zip(program.inputs, program.example_inputs, strict=True)
    }


def _with_metadata(model: Any, options: TargetOptions) -> bytes:
    """Serialize with ``options.metadata`` as flatbuffer metadata entries.

    The exporter writes the module attribute ``tfl.metadata``; litert-torch offers no public way
    to set it, and rewriting the flatbuffer afterwards would copy every weight once more.
    """
    from litert_converter.mlir import ir as mlir

    ir: Any = mlir
    exporter = model._exporter
    operation = exporter.module.operation
    with operation.context:
        entries = {key: ir.StringAttr.get(value) for key, value in options.metadata.items()}
        operation.attributes["tfl.metadata"] = ir.DictAttr.get(entries)
    return exporter.to_bytes()


def _float16_weights(content: bytes) -> bytes:
    from ai_edge_quantizer import quantizer

    result: Any = quantizer.Quantizer(content, _FLOAT16_WEIGHTS).quantize()
    return bytes(result.quantized_model)
