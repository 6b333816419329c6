"""A layer with float weights between integers stays float in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from cnn_export.targets.onnx.float_layers import keep_layers_float

GENERATOR = np.random.default_rng(2)
LAYERS = {
    "Conv": ((6, 2, 3, 3), 6, {"group": 2}, (1, 4, 7, 9)),
    "ConvTranspose": ((4, 3, 2, 2), 3, {}, (1, 4, 5, 3)),
    "Gemm": ((5, 4), 5, {"transB": 1}, (3, 4)),
}
"""Shape of the weights, channels of the output, attributes, shape of the input."""


def _model(kind: str) -> onnx.ModelProto:
    """An activation in uint8, two readers of it, and integers again."""
    shape, channels, attributes, given = LAYERS[kind]
    rank = [None] * len(given)
    constants = {
        "weight": GENERATOR.standard_normal(shape).astype(np.float32),
        "bias": GENERATOR.standard_normal(channels).astype(np.float32),
        "scale": np.float32(0.031),
        "zero": np.uint8(121),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node(kind, ["d", "weight", "bias"], ["y"], **attributes),
        helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "scale", "zero"], ["out"]),
        helper.make_node("Relu", ["d"], ["other"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, rank) for n in ("out", "other")],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _run(model: onnx.ModelProto, inputs: np.ndarray, *, optimized: bool) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": inputs})


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_are_not_rounded(kind: str) -> None:
    model, inputs = _model(kind), GENERATOR.standard_normal(LAYERS[kind][3]).astype(np.float32)
    expected = _run(model, inputs, optimized=False)
    rounded = _run(model, inputs, optimized=True)
    assert np.count_nonzero(rounded[0] != expected[0]) > 0.05 * expected[0].size
    keep_layers_float(model)
    onnx.checker.check_model(model, full_check=True)
    for optimized in (False, True):
        for one, other in zip(_run(model, inputs, optimized=optimized), expected, strict=True):
            assert np.array_equal(one, other)


def test_a_layer_of_integers_is_left_as_it_is() -> None:
    model = _model("Conv")
    weight = next(each for each in model.graph.initializer if each.name == "weight")
    weight.CopyFrom(numpy_helper.from_array(np.ones(weight.dims, np.int8), "weight_int8"))
    model.graph.initializer.append(numpy_helper.from_array(np.int8(0), "weight_zero"))
    model.graph.node.insert(
        0, helper.make_node("DequantizeLinear", ["weight_int8", "scale", "weight_zero"], ["weight"])
    )
    before = model.SerializeToString()
    keep_layers_float(model)
    assert model.SerializeToString() == before
