"""Integer files: a byte an element, and groups of the QDQ form as one operator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import pytest
from cost_networks import lowered, read_cost

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.explanation import explain

SHAPE = (1, 3, 15, 22)


class _Images:
    """Two random inputs, as onnxruntime's calibration asks for them."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self._left = [generator.random(SHAPE, dtype=np.float32) for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"image": self._left.pop()} if self._left else None


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network in float32 and, by onnxruntime's quantizer, in int8."""
    from onnxruntime.quantization import QuantFormat, quantize_static

    folder = tmp_path_factory.mktemp("onnx")
    plain = lowered(networks.small_net(), "onnx", folder, SHAPE)
    quantized = folder / "int8.onnx"
    images: Any = _Images()
    quantize_static(plain, quantized, images, quant_format=QuantFormat.QDQ)
    return plain, quantized


def by_category(cost: ArtifactCost, category: str) -> list[Any]:
    return [op for op in cost.ops if op.category == category]


def test_int8_onnx_reads_and_writes_a_byte_an_element(onnx_files) -> None:
    plain, quantized = (read_cost(path) for path in onnx_files)
    assert quantized.macs == plain.macs
    whole, narrow = (by_category(cost, "contraction") for cost in (plain, quantized))
    assert [op.kind for op in narrow] == [op.kind for op in whole]
    for before, after in zip(whole, narrow, strict=True):
        assert (after.dtype, after.weight_dtype) == ("int8", "int8")
        assert after.input_bytes * 4 == before.input_bytes
        assert after.output_bytes * 4 == before.output_bytes
    assert "unexplained" not in {part.cause for part in explain(plain, quantized)}
    assert quantized.mac_bytes < plain.mac_bytes, "the mean in float, conversions and all"


def test_int8_onnx_keeps_the_conversions_around_what_stays_in_float(onnx_files) -> None:
    conversions = by_category(read_cost(onnx_files[1]), "conversion")
    # The image, both sides of the mean (which the quantizer leaves alone), and two outputs.
    quantize, dequantize = "QuantizeLinear", "DequantizeLinear"
    assert [op.kind for op in conversions] == [
        *(quantize, dequantize, quantize),
        *(dequantize, dequantize),
    ]
    assert conversions[0].input_bytes == 4 * np.prod(SHAPE)
    assert conversions[0].output_bytes == np.prod(SHAPE)


def test_group_with_a_float_reader_stays_as_it_is(onnx_files, tmp_path: Path) -> None:
    model = onnx.load(onnx_files[1])
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    # Its float result is wanted outside now, so no integer kernel may swallow it.
    model.graph.output.append(onnx.ValueInfoProto(name=convolution.output[0]))
    model.graph.output[-1].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    path = tmp_path / "open.onnx"
    onnx.save(model, path)
    before, after = read_cost(onnx_files[1]), read_cost(path)
    assert by_category(after, "contraction")[0].dtype == "float32"
    assert after.macs == before.macs
    assert after.mac_bytes > before.mac_bytes


def test_int8_tflite_reads_and_writes_a_byte_an_element(tmp_path: Path) -> None:
    quantizer = pytest.importorskip("ai_edge_quantizer.quantizer")
    recipe = pytest.importorskip("ai_edge_quantizer.recipe")
    plain = lowered(networks.small_net(), "tflite", tmp_path, SHAPE)
    job = quantizer.Quantizer(str(plain))
    job.load_quantization_recipe(recipe.static_wi8_ai8())
    samples = [{"image": _Images().get_next()["image"]}]  # type: ignore[index]
    result = job.quantize(job.calibrate({"serving_default": samples}))
    quantized = tmp_path / "int8.tflite"
    result.export_model(str(quantized), overwrite=True)
    before, after = read_cost(plain), read_cost(quantized)
    assert after.macs == before.macs
    pairs = zip(*(by_category(cost, "contraction") for cost in (before, after)), strict=True)
    for whole, narrow in pairs:
        assert narrow.weight_dtype == "int8"
        assert narrow.input_bytes * 4 == whole.input_bytes
        assert narrow.output_bytes * 4 == whole.output_bytes


@pytest.mark.parametrize("target", ["onnx", "coreml", "executorch", "tflite"])
def test_float16_files_count_what_their_kernels_read(target: str, tmp_path: Path) -> None:
    from cnn_export import export

    module, costs = networks.small_net(), {}
    for precision in ("fp32", "fp16"):
        folder = tmp_path / precision
        folder.mkdir()
        shapes = {"image": SHAPE}
        done = export(module, target, output=folder, shapes=shapes, precision=precision)
        costs[precision] = read_cost(done.artifact.path)
    plain, half = costs["fp32"], costs["fp16"]
    assert half.macs == plain.macs
    first, halved = (by_category(cost, "contraction")[0] for cost in (plain, half))
    # TFLite widens its stored float16 weights at load; XNNPACK's file keeps filters in float32.
    activations = 1 if target == "tflite" else 2
    weights = 1 if target in {"tflite", "executorch"} else 2
    assert first.output_bytes == activations * halved.output_bytes
    assert first.weight_bytes == pytest.approx(weights * halved.weight_bytes, rel=0.05)
    assert half.weight_bytes < plain.weight_bytes
    assert "unexplained" not in {part.cause for part in explain(plain, half)}
