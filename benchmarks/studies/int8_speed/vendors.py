"""Each format's own quantizer, as its documentation runs it: static int8, weights per channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnn_export.targets.onnx.runtime import import_onnxruntime


def _tflite(program: Any, source: Path, result: Path, calibration: Sequence[Any]) -> None:
    """ai-edge-quantizer over the float32 file; inputs and outputs stay float32."""
    from ai_edge_quantizer import quantizer, recipe

    vendor: Any = quantizer.Quantizer(source.read_bytes())
    vendor.load_quantization_recipe(recipe.static_wi8_ai8())
    for border in ("INPUT", "OUTPUT"):
        vendor.update_quantization_recipe(".*", border, algorithm_key="no_quantize")
    samples = [{program.inputs[0].name: image.numpy()} for image in calibration]
    ranges = vendor.calibrate({"serving_default": samples}, num_threads=1)
    result.write_bytes(bytes(vendor.quantize(ranges).quantized_model))


def _onnx(program: Any, source: Path, result: Path, calibration: Sequence[Any]) -> None:
    """onnxruntime.quantization over the float32 file, prepared as it asks for."""
    import_onnxruntime()
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    vendor: Any = quantization
    name = program.inputs[0].name

    class Reader(vendor.CalibrationDataReader):
        def __init__(self) -> None:
            self._images = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._images, None)
            return None if image is None else {name: image.numpy()}

    prepared = result.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared))
    vendor.quantize_static(
        str(prepared),
        str(result),
        Reader(),
        quant_format=vendor.QuantFormat.QDQ,
        per_channel=True,
        activation_type=vendor.QuantType.QUInt8,
        weight_type=vendor.QuantType.QInt8,
    )


def _executorch(program: Any, source: Path, result: Path, calibration: Sequence[Any]) -> None:
    """XNNPACKQuantizer by PT2E, lowered to XNNPACK."""
    del source
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    symmetric = xnnpack_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    quantizer = xnnpack_quantizer.XNNPACKQuantizer().set_global(symmetric)
    prepared = prepare_pt2e(program.exported.module(), quantizer)
    with torch.no_grad():
        for image in calibration:
            prepared(image)
    quantized = torch.export.export(convert_pt2e(prepared), program.example_inputs)
    lowered = to_edge_transform_and_lower(quantized, partitioner=[XnnpackPartitioner()])
    with result.open("wb") as file:
        lowered.to_executorch().write_to_file(file)


VENDORS: dict[str, Callable[[Any, Path, Path, Sequence[Any]], None]] = {
    "tflite": _tflite,
    "onnx": _onnx,
    "executorch": _executorch,
}
"""Target → quantizer: the program, its float32 file, the file to write, calibration images."""
