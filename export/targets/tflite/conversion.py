"""From a program to the bytes of a TFLite file, by litert-torch."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import torch
from torch import fx
from torch.export import Dim

from cnn_export.errors import OperatorRefused
from cnn_export.program.layout import NCHW_TO_NHWC, NHWC_TO_NCHW, is_image
from cnn_export.program.program import BATCH_MAX, Program
from cnn_export.program.tensors import Layout, TensorSpec
from cnn_export.targets import diagnosis
from cnn_export.targets.options import TargetOptions
from cnn_export.targets.quantized import is_quantized
from cnn_export.targets.tflite.native_operators import native_prelu


def converted(program: Program, options: TargetOptions) -> bytes:
    """Return the file's content, metadata inside; the same program gives the same bytes.

    With integers, the graph's quantize and dequantize become quantized tensors and operators.

    Raises:
        OperatorRefused: the converter refused.
    """
    import litert_torch
    from litert_torch.progress import config

    config.show_progress = False
    samples = _samples(program, options.layout)
    level = logging.getLogger().level
    try:
        # Of an int8 graph the operators that it decides on are those that the converter spells.
        with contextlib.nullcontext() if is_quantized(options) else native_prelu():
            model: Any = litert_torch.convert(
                _calling_convention_copy(program, options.layout),
                sample_kwargs=samples,
                quant_config=_static_integers() if is_quantized(options) else None,
                dynamic_shapes=_batch_of(samples) if program.dynamic_batch else None,
            )
        return _with_metadata(model, options)
    except Exception as error:
        raise OperatorRefused(f"litert-torch cannot convert it{diagnosis.plain(error)}") from error
    finally:
        # litert-torch lowers the root logger's level for good.
        logging.getLogger().setLevel(level)


def _static_integers() -> Any:
    """Return the configuration that makes the converter fuse the graph's own quantization.

    It quantizes nothing by itself: ``convert`` reads of it that quantization is static.
    """
    from litert_torch.quantize import pt2e_quantizer
    from litert_torch.quantize.quant_config import QuantConfig

    vendor: Any = pt2e_quantizer
    per_channel = vendor.get_symmetric_quantization_config(is_per_channel=True)
    return QuantConfig(pt2e_quantizer=vendor.PT2EQuantizer().set_global(per_channel))


def _calling_convention_copy(program: Program, layout: Layout) -> fx.GraphModule:
    """Return a copy of the program with inputs and outputs by name, images in ``layout``.

    litert-torch takes names from the arguments of ``forward`` and the keys of a returned dict, and
    has no option for either. The copy is another function of other tensors than the graph proven,
    so it is no pass: parity hands the file images in its layout.
    """
    graph = fx.Graph()
    values: dict[fx.Node, Any] = {}
    nodes = program.graph_module.graph.find_nodes(op="placeholder")
    for spec, node in zip(program.inputs, nodes, strict=True):
        values[node] = _insert_reordered(
            graph, graph.placeholder(spec.name), spec, layout, NHWC_TO_NCHW
        )
    results: Any = graph.graph_copy(program.graph_module.graph, values)
    graph.output(
        {
            spec.name: _insert_reordered(graph, value, spec, layout, NCHW_TO_NHWC)
            for spec, value in zip(program.outputs, results, strict=True)
        }
    )
    return fx.GraphModule(program.graph_module, graph).eval()


def _insert_reordered(
    graph: fx.Graph, value: fx.Node, spec: TensorSpec, layout: Layout, axes: tuple[int, ...]
) -> fx.Node:
    if layout == "nchw" or not is_image(spec):
        return value
    return graph.call_function(torch.ops.aten.permute.default, (value, list(axes)))


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
