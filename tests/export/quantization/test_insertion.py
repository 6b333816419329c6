"""quantized_graph: the integers it writes, where it reads them, in every spelling."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.quantization.decision import Decision, LayerWeights, TensorScale
from cnn_export.quantization.insertion.decomposed import (
    DEQUANTIZE,
    DEQUANTIZE_PER_CHANNEL,
    QUANTIZE,
    QUANTIZE_PER_CHANNEL,
)
from cnn_export.quantization.insertion.integers import bias_integers, weight_integers
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.linear_operators import read_linear_operator

SPELLINGS = {
    "onnx": Spelling("uint8"),
    "executorch": Spelling(biases="float"),
    "tflite": Spelling(weights="requantized", biases="float"),
}


class Net(nn.Module):
    """Two layers of one input, ReLU, sum, a layer called twice, linear."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 5, 3, bias=False)
        self.twice = nn.Conv2d(5, 5, 1)
        self.head = nn.Linear(5, 4)

    def forward(self, x):
        y = F.relu(self.left(x)) + self.right(x)
        y = self.twice(F.relu(self.twice(y)))
        return self.head(y.mean((2, 3)))


def _float32(value):
    return torch.as_tensor(value, dtype=torch.float32).item()


def _range(value):
    low, high = min(float(value.min()), 0.0), max(float(value.max()), 0.0)
    scale = _float32((high - low) / 255)
    return TensorScale(scale, round(-128 - low / scale), "seen")


def _decided(program, images):
    """Every tensor but the mean's and weights' is int8, over its own range."""
    values = {}

    class Record(torch.fx.Interpreter):
        def run_node(self, n):
            values[n.name] = value = super().run_node(n)
            return value

    with torch.no_grad():
        Record(program.graph_module).run(images)
    tensors, weights = {}, {}
    for node in program.graph_module.graph.nodes:
        operator = read_linear_operator(node)
        if operator is not None:
            rows = values[operator.weight.name].abs().flatten(1).amax(1) / 127
            weights[node.name] = LayerWeights(tuple(_float32(row) for row in rows))
        fused = any(user.name.startswith("relu") for user in node.users)
        if node.op in ("placeholder", "call_function") and not fused:
            tensors[node.name] = _range(values[node.name])
    return Decision(tensors, weights)


@pytest.fixture(scope="module", params=[False, True], ids=["batch 2", "dynamic"])
def case(request):
    torch.manual_seed(3)
    program = capture(Net(), (torch.randn(2, 3, 9, 7),), dynamic_batch=request.param)
    images = torch.randn(2, 3, 9, 7)
    return program, _decided(program, images), images


def _calls(graph_module, target):
    return graph_module.graph.find_nodes(op="call_function", target=target)


def _run(graph_module, *inputs):
    with torch.no_grad():
        (result,) = graph_module(*inputs)
    return result


def _steps(value, scale):
    return (value.double() / scale.scale).round().clamp(
        -128 - scale.zero_point, 127 - scale.zero_point
    ) * scale.scale


def _expected(net_graph, decision, images):
    """Read the decision in float64, from the original graph's own nodes."""

    class Read(torch.fx.Interpreter):
        def run_node(self, n):
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            if n.name in decision.weights:
                scales = torch.tensor(decision.weights[n.name].scales).double()
                view = scales.reshape(-1, *[1] * (args[1].ndim - 1))
                weight = (args[1] / view).round() * view
                step = scales * decision.tensors[n.args[0].name].scale
                bias = None if args[2:3] in ((), (None,)) else (args[2] / step).round() * step
                value = n.target(args[0], weight, bias, *args[3:], **kwargs)
            else:
                value = super().run_node(n)
            if n.name in decision.tensors:
                value = _steps(value, decision.tensors[n.name])
            return value

    with torch.no_grad():
        return Read(net_graph).run(images.double())[0]


@pytest.mark.parametrize("name", SPELLINGS)
def test_computes_the_decision(case, name):
    program, decision, images = case
    quantized = quantized_graph(program.graph_module, decision, SPELLINGS[name])
    double = capture(Net().double(), (images.double(),)).graph_module
    double.load_state_dict({k: v.double() for k, v in program.graph_module.state_dict().items()})
    expected = _expected(double, decision, images)
    step = decision.tensors["linear"].scale
    assert len(expected.unique()) > 4
    # Where float32 and float64 fall on two sides of a tie, later layers move on by a step or two.
    assert (_run(quantized, images) - expected).abs().max() <= 2.01 * step
    assert (_run(quantized, images) - expected).abs().mean() <= 0.5 * step


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_user_dequantizes_for_itself(case, name):
    program, decision, _ = case
    quantized = quantized_graph(program.graph_module, decision, SPELLINGS[name])
    for node in _calls(quantized, DEQUANTIZE):
        assert len(node.users) == 1
    for node in program.graph_module.graph.nodes:
        if node.name in decision.tensors and not node.name.startswith("relu"):
            (new,) = (n for n in quantized.graph.nodes if n.name == node.name)
            (quantize,) = new.users
            assert quantize.target is QUANTIZE
            assert len(quantize.users) == len(node.users)
    assert len(_calls(quantized, QUANTIZE)) == len(decision.tensors)


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_node_knows_its_shape_and_source(case, name):
    program, decision, images = case
    quantized = quantized_graph(program.graph_module, decision, SPELLINGS[name])

    class Check(torch.fx.Interpreter):
        def run_node(self, n):
            value = super().run_node(n)
            if n.op != "output":
                described = n.meta["val"]
                assert described.dtype == value.dtype, n.name
                for size, real in zip(described.shape, value.shape, strict=True):
                    assert isinstance(size, torch.SymInt) or size == real
            if n.op == "call_function":
                assert n.target in (QUANTIZE, DEQUANTIZE) or __file__ in n.meta["stack_trace"]
            return value

    with torch.no_grad():
        Check(quantized).run(images)
    dynamic = program.dynamic_batch
    assert isinstance(_calls(quantized, QUANTIZE)[-1].meta["val"].shape[0], torch.SymInt) == dynamic
    assert (
        torch.equal(
            _run(quantized, images), _run(program.with_graph(quantized).exported.module(), images)
        )
        or dynamic
    )


def test_spellings_hold_what_they_name(case):
    program, decision, _ = case
    graphs = {n: quantized_graph(program.graph_module, decision, s) for n, s in SPELLINGS.items()}
    dtypes = {n: {x.meta["val"].dtype for x in _calls(g, QUANTIZE)} for n, g in graphs.items()}
    assert dtypes == {"onnx": {torch.uint8}, "executorch": {torch.int8}, "tflite": {torch.int8}}
    count = {n: len(_calls(g, DEQUANTIZE_PER_CHANNEL)) for n, g in graphs.items()}
    assert count == {"onnx": 10, "executorch": 5, "tflite": 5}
    count = {n: len(_calls(g, QUANTIZE_PER_CHANNEL)) for n, g in graphs.items()}
    assert count == {"onnx": 0, "executorch": 0, "tflite": 5}
    stored = {str(t.dtype) for t in graphs["onnx"].state_dict().values()}
    assert stored == {"torch.int8", "torch.int32", "torch.int64", "torch.float32"}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_layer_that_is_called_twice_is_stored_once(case, name):
    program, decision, _ = case
    quantized = quantized_graph(program.graph_module, decision, SPELLINGS[name])
    kept = "on_grid" if SPELLINGS[name].weights == "requantized" else "int8"
    names = [key for key in quantized.state_dict() if key.startswith("twice_weight_" + kept)]
    assert len(names) == 1
    biases = [k for k in quantized.state_dict() if k.startswith("twice_weight_bias_") and "_s" in k]
    assert len(biases) == (2 if name == "onnx" else 0), "their inputs have two scales"


@pytest.mark.parametrize("io", ["int8", "uint8"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_integers_at_the_border(case, name, io):
    program, decision, images = case
    plain = quantized_graph(program.graph_module, decision, SPELLINGS[name])
    border = quantized_graph(program.graph_module, decision, SPELLINGS[name], io=io)
    offset = 128 if io == "uint8" else 0
    dtype = torch.uint8 if io == "uint8" else torch.int8
    x, y = decision.tensors["x"], decision.tensors["linear"]
    given = (torch.round(images * (1 / torch.tensor(x.scale))) + x.zero_point).clamp(-128, 127)
    got = _run(border, (given + offset).to(dtype))
    assert got.dtype == dtype
    real = (got.double() - offset - y.zero_point) * y.scale
    torch.testing.assert_close(real, _run(plain, images).double(), rtol=1e-6, atol=0)
    (placeholder,) = border.graph.find_nodes(op="placeholder")
    assert placeholder.meta["val"].dtype == dtype
    same = io == SPELLINGS[name].activations
    # Within one dtype nothing converts at the border; else one step does at each end.
    assert (
        len(_calls(border, QUANTIZE)) == len(_calls(plain, QUANTIZE)) - 1 + (0 if same else 2) - 0
    )


def test_undecided_ends_stay_float(case):
    program, decision, images = case
    inner = {k: v for k, v in decision.tensors.items() if k not in ("x", "linear")}
    weights = {k: v for k, v in decision.weights.items() if k.startswith("conv2d_2")}
    some = Decision(inner, weights)
    quantized = quantized_graph(program.graph_module, some, Spelling(), io="int8")
    assert _run(quantized, images).dtype == torch.float32
    assert len(_calls(quantized, DEQUANTIZE_PER_CHANNEL)) == 2


def test_weights_alone(case):
    program, decision, images = case
    alone = Decision({}, decision.weights)
    quantized = quantized_graph(program.graph_module, alone, Spelling())
    assert not _calls(quantized, QUANTIZE)
    assert len(_calls(quantized, DEQUANTIZE_PER_CHANNEL)) == 5
    plain = _run(program.graph_module, images)
    error = (_run(quantized, images) - plain).abs().max()
    assert 0 < error < 0.03 * plain.abs().max()
    assert torch.equal(quantized.left.bias, program.graph_module.left.bias)


def test_bias_correction_moves_the_bias(case):
    program, decision, images = case
    shift = (0.5, -0.25, 1.0, 0.0)
    head = dataclasses.replace(decision.weights["linear"], bias_correction=shift)
    moved = Decision(decision.tensors, {**decision.weights, "linear": head})
    wide = {**moved.tensors, "linear": TensorScale(_float32(0.02), 0, "room")}
    before, after = (
        _run(quantized_graph(program.graph_module, Decision(wide, w), Spelling()), images)
        for w in (decision.weights, moved.weights)
    )
    torch.testing.assert_close(after - before, torch.tensor([shift] * 2), atol=0.03, rtol=0)


def test_the_given_graph_stays(case):
    program, decision, images = case
    before = _run(program.graph_module, images)
    names = [node.name for node in program.graph_module.graph.nodes]
    stored = list(program.graph_module.state_dict())
    quantized_graph(program.graph_module, decision, Spelling("uint8"), io="uint8")
    assert torch.equal(_run(program.graph_module, images), before)
    assert [node.name for node in program.graph_module.graph.nodes] == names
    assert list(program.graph_module.state_dict()) == stored


def test_a_decision_about_another_graph_is_refused(case):
    program, _, _ = case
    odd = Decision({"gone": TensorScale(0.1, 0, "")}, {})
    with pytest.raises(ValueError, match="it has no gone"):
        quantized_graph(program.graph_module, odd, Spelling())
    odd = Decision({}, {"relu": LayerWeights((0.1,))})
    with pytest.raises(ValueError, match="relu is no layer"):
        quantized_graph(program.graph_module, odd, Spelling())


def test_weights_round_half_to_even_within_127():
    weight = torch.tensor([[0.5, 1.5, 2.5, -0.5, 400.0, -400.0], [1.0, 3.0, 5.0, -1.0, 0.0, 254.0]])
    integers = weight_integers(weight, torch.tensor([1.0, 2.0]), 0)
    assert integers.tolist() == [[0, 2, 2, 0, 127, -127], [0, 2, 2, 0, 0, 127]]
    assert torch.equal(weight_integers(weight.t(), torch.tensor([1.0, 2.0]), 1), integers.t())


def test_biases_outside_int32_are_refused():
    scales = torch.tensor([1.0, 0.5])
    assert bias_integers(torch.tensor([2.5, -2.5]), 0.5, scales).tolist() == [5, -10]
    with pytest.raises(OverflowError, match="more than int32"):
        bias_integers(torch.tensor([1.0, 1e9]), 0.5, scales)
