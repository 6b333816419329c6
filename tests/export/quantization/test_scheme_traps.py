"""Where int8 goes wrong silently: dead activations, shared scales, clips, long sums."""

import math

import numpy as np
import pytest
import torch
from decided import decided
from torch import nn
from torch.nn import functional as F

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.program import capture
from cnn_export.quantization.decision import TensorScale
from cnn_export.quantization.insertion.clips import Bounds
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.quantization.scheme.observation.ranges import Range
from cnn_export.quantization.scheme.observation.scales import scale_of
from cnn_export.quantization.scheme.placement.layer_names import layer_names
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.operators import operator_name


class Net(nn.Module):
    """A convolution, what is asked for, and a convolution that reads it."""

    def __init__(self, function, channels=6):
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Conv2d(channels, 5, 1)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self, self.first(x)))


def _images(count=2, scale=1.0):
    generator = torch.Generator().manual_seed(9)
    return [(torch.randn(2, 3, 9, 7, generator=generator) * scale,) for _ in range(count)]


def _case(function, images=None, **options):
    net = Net(function, options.pop("channels", 6))
    # As it stands: merged layers would not be the ones that a test is about.
    return decided(net, images or _images(), reparameterized=False, **options)


def _named(case, operator):
    return [n.name for n in case.graph_module.graph.nodes if operator_name(n) == operator]


def _ops(case, **options):
    quantized = quantized_graph(case.graph_module, case.decision, Spelling(), **options)
    return [operator_name(n).split("::")[-1] for n in quantized.graph.nodes if operator_name(n)]


def test_a_dead_relu_gets_a_scale_that_fits():
    net = Net(lambda net, y: F.relu(net.second(F.relu(y))))
    net.second.bias.data -= 1000
    case = decided(net, _images(), reparameterized=False)
    (layer,) = (n for n in case.decision.weights if n == _named(case, "conv2d")[1])
    (name,) = (u.name for u in case.node(layer).users)
    seen = case.statistics.tensors[name]
    assert (seen.low, seen.high) == (0, 0)
    scale = case.decision.tensors[name]
    source = case.decision.tensors[_named(case, "relu")[0]].scale
    ratio = source * max(case.decision.weights[layer].scales) / scale.scale
    assert 16 < ratio <= 32, "256 and more is a file that is written and does not load"
    assert scale.zero_point == -128
    assert "raised" in scale.why


@pytest.mark.parametrize("size", [1e-4, 1e-9, 0.0])
def test_near_dead_inputs_keep_biases_small(size):
    case = decided(Net(lambda net, y: y), _images(scale=size), reparameterized=False)
    step = case.decision.tensors["x"].scale
    scales = torch.tensor(case.decision.weights["conv2d"].scales).double()
    bias = case.graph_module.first.bias.double()
    assert (bias / (step * scales)).abs().max() <= 2**20 + 1
    quantized = quantized_graph(case.graph_module, case.decision, Spelling())
    with torch.no_grad():
        (got,), (expected,) = (g(*_images(scale=size)[0]) for g in (quantized, case.graph_module))
    assert (got - expected).abs().max() < 0.02 * expected.abs().max()


def test_a_channel_of_hardly_any_weight_keeps_its_bias():
    net = Net(lambda net, y: y)
    with torch.no_grad():
        net.first.weight[2] = 1e-12
        net.first.weight[3] = 0
        net.first.bias[2:4] = 1.5
    case = decided(net, _images(), reparameterized=False)
    step = case.decision.tensors["x"].scale
    for channel in (2, 3):
        scale = case.decision.weights["conv2d"].scales[channel]
        assert 2**19 < 1.5 / (scale * step) <= 2**20 + 1
    assert case.decision.weights["conv2d"].scales[0] < 0.1


def test_relu6_never_reaches_beyond_6_in_float32():
    """One unit in the last place above 6, and ONNX Runtime leaves the layer in float."""
    case = _case(lambda net, y: F.relu6(y), _images(scale=9))
    scale = case.decision.tensors[_named(case, "relu6")[0]]
    assert np.float32(scale.scale) * np.float32(255) <= np.float32(6)
    assert scale.high > 5.9999
    assert "relu6" not in _ops(case)


def test_no_scale_reaches_beyond_a_clip_in_float32():
    ends = torch.linspace(0.05, 300, 400).tolist()
    nearest = [np.float32(end / 255) * np.float32(255) > np.float32(end) for end in ends]
    assert any(nearest), "rounded to nearest, some would"
    for end in ends:
        scale, zero_point = scale_of(Range(-end, end), Bounds(-end, end))
        assert np.float32(scale) * np.float32(127 - zero_point) <= np.float32(end)
        assert np.float32(scale) * np.float32(-128 - zero_point) >= np.float32(-end)
        scale, _ = scale_of(Range(0, end), Bounds(0, end))
        assert np.float32(scale) * np.float32(255) <= np.float32(end)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (-0.3, 2), (-1, 0), (None, 1)])
def test_a_clip_behind_a_layer_is_its_saturation(low, high):
    case = _case(lambda net, y: y.clamp(low, high), _images(scale=9))
    (name,) = (n for n in case.decision.tensors if n.startswith(("clamp", "hardtanh")))
    scale = case.decision.tensors[name]
    assert np.float32(-math.inf if low is None else low) <= scale.low
    assert scale.high <= high
    assert scale.high - scale.low > 0.98 * (high - scale.low)
    assert not {"clamp", "hardtanh"} & set(_ops(case))


def test_a_clip_behind_floats_is_the_saturation_of_what_reads_it():
    case = _case(lambda net, y: (4 * y).clamp(-1, 1))
    scale = case.decision.tensors["clamp"]
    assert -1 <= scale.low < -0.98
    assert 0.98 < scale.high <= 1
    assert "clamp" not in _ops(case)


def test_a_clip_that_excludes_zero_stays_float():
    case = _case(lambda net, y: y.clamp(0.5, 2))
    assert "clamp" in _ops(case)
    (name,) = (n for n in case.decision.kept_float if n.startswith(("clamp", "hardtanh")))
    assert case.decision.tensors[name].low <= 0


def test_below_minus_3_a_hard_swish_needs_no_steps():
    wide = _images(scale=20)
    case = _case(lambda net, y: F.hardswish(y), wide)
    scale = case.decision.tensors["conv2d"]
    assert case.statistics.tensors["conv2d"].low < -6
    assert -3 - 2 * scale.scale < scale.low <= -3
    exact = F.hardswish(torch.tensor(scale.low))
    assert exact == 0
    assert "-3" in scale.why
    # A second reader that tells values apart keeps the range.
    case = _case(lambda net, y: F.hardswish(y) + net.second(y), wide)
    assert case.decision.tensors["conv2d"].low < -6


@pytest.mark.parametrize("ranges", ["minmax", "mse", "percentile"])
def test_a_hard_sigmoid_is_read_from_minus_3_to_3(ranges):
    case = _case(lambda net, y: F.hardsigmoid(F.max_pool2d(y, 2)), _images(scale=20), ranges=ranges)
    scale = case.decision.tensors["conv2d"]
    assert -3.1 < scale.low <= -3
    assert 3 <= scale.high < 3.1
    assert scale == case.decision.tensors["max_pool2d"]


def test_the_peaks_of_an_answer_are_not_cut_off():
    case = _case(lambda net, y: F.relu(y), ranges="percentile", percentile=90.0)
    for name, is_cut in (("conv2d_1", False), ("relu", True)):
        high, seen = case.decision.tensors[name].high, case.statistics.tensors[name].high
        assert (high < 0.97 * seen) == is_cut, name


def test_a_concatenation_shares_the_widest_range():
    case = _case(lambda net, y: torch.cat([y, F.relu(net.second(y))], 1), channels=12)
    scales = case.decision.tensors
    assert scales["relu"] == scales["cat"]
    assert scales["cat"].low <= case.statistics.tensors["cat"].low * 0.99
    assert scales["cat"].high >= case.statistics.tensors["cat"].high * 0.99
    # -1 is in reach of the steps, so saturating is no ReLU: the ReLU has to be computed.
    assert scales["conv2d_1"] == scales["relu"]
    assert "relu" in _ops(case)


def test_a_concatenation_of_relus_fuses_them():
    case = _case(lambda net, y: _two_relus(net, F.relu(y)), channels=12)
    assert case.decision.tensors["cat"].zero_point == -128
    big = max(case.statistics.tensors[n].high for n in ("relu", "relu6"))
    assert case.decision.tensors["cat"].high == pytest.approx(big, rel=1e-6)
    assert "relu" not in _ops(case)


def _two_relus(net, y):
    return torch.cat([y, F.relu6(net.second(y))], 1)


def test_a_relu_behind_a_pool_is_the_saturation_before_it():
    case = _case(lambda net, y: F.relu(F.max_pool2d(y, 2)))
    tensors = case.decision.tensors
    assert tensors["conv2d"] == tensors["max_pool2d"] == tensors["relu"]
    assert tensors["conv2d"].zero_point == -128
    assert "relu" not in _ops(case)
    assert _ops(case).count("quantize_per_tensor") == len(tensors) - 1
    quantized = quantized_graph(case.graph_module, case.decision, Spelling())
    with torch.no_grad():
        (got,), (expected,) = (g(*_images()[0]) for g in (quantized, case.graph_module))
    assert (got - expected).abs().max() < 0.03 * expected.abs().max()


def test_a_relu_that_is_not_alone_shares_the_scale():
    case = _case(lambda net, y: F.relu(y) + net.second(y))
    assert case.decision.tensors["conv2d"] == case.decision.tensors["relu"]
    assert case.decision.tensors["conv2d"].low < -0.1
    assert "relu" in _ops(case)


def test_floats_around_a_pool_leave_it_float():
    case = _case(lambda net, y: torch.sigmoid(F.max_pool2d(torch.sigmoid(y), 2)))
    assert case.decision.kept_float["max_pool2d"] == "what stands around it is float"
    assert "max_pool2d" not in case.decision.tensors
    case = _case(lambda net, y: F.max_pool2d(torch.sigmoid(y), 2))
    assert case.decision.tensors["max_pool2d"] == case.decision.tensors["sigmoid"]


def test_memory_that_is_written_to_stays_float():
    """The rounded copy that a later reader had would lack what was added in place."""

    def added_in_place(net, y):
        z = net.second(y)
        y.add_(F.relu(z))
        return F.max_pool2d(y, 3, 1, 1)

    case = _case(added_in_place)
    assert case.decision.kept_float["conv2d"] == "its memory is written to in place"
    assert "conv2d" not in case.decision.tensors
    quantized = quantized_graph(case.graph_module, case.decision, Spelling())
    with torch.no_grad():
        (got,), (expected,) = (g(*_images()[0]) for g in (quantized, case.graph_module))
    assert (got - expected).abs().max() < 0.05 * expected.abs().max()


def test_a_sum_that_could_leave_32_bits_stays_float():
    net = nn.Linear(70_000, 2)
    with torch.no_grad():
        net.weight.fill_(0.5)
    case = decided(net, [(torch.randn(1, 70_000),)])
    assert case.decision.kept_float["linear"] == "its sums may be longer than 32 bits"
    assert not case.decision.weights
    with torch.no_grad():
        net.weight[:, 1::2] = 0
    assert decided(net, [(torch.randn(1, 70_000),)]).decision.weights


def test_summands_of_very_different_size_keep_a_ratio_that_fits():
    net = Net(lambda net, y: y + net.second(y))
    net.second.weight.data *= 1e-5
    net.second.bias.data *= 1e-5
    case = decided(net, _images(), reparameterized=False)
    tensors = case.decision.tensors
    small, sum_ = tensors["conv2d_1"].scale, tensors[_named(case, "add")[0]].scale
    assert 2**-10 <= small / sum_ < 2**-8
    assert "raised" in tensors["conv2d_1"].why


def _products(net, y, factor):
    """A product of large or tiny numbers, and one with a factor that is 0 throughout."""
    return y * torch.sigmoid(factor * y) * factor * y * F.relu(net.second(y) - 1e9)


@pytest.mark.parametrize("factor", [1e-7, 1e5])
def test_factors_of_very_different_size_keep_a_ratio_that_fits(factor):
    case = _case(lambda net, y: _products(net, y, factor))
    assert sum(name.startswith("mul") for name in case.decision.tensors) >= 2
    for node in case.graph_module.graph.nodes:
        if operator_name(node) == "mul" and node.name not in case.decision.kept_float:
            a, b, y = (case.decision.tensors[n.name].scale for n in (*node.all_input_nodes, node))
            assert 2**-16 <= a * b / y < 2**8


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_int8_lacks_are_refused(value):
    graph_module = capture(Net(lambda net, y: y), _images()[0]).graph_module
    images = _images()
    images[1][0][0, 0, 3, 3] = value
    with pytest.raises(InputRefused, match=r"x holds NaN or infinity on calibration batch 2"):
        observe(graph_module, lambda: images)


def test_no_data_and_changing_data_are_refused():
    graph_module = capture(Net(lambda net, y: y), _images()[0]).graph_module
    with pytest.raises(InputRefused, match="no calibration data"):
        observe(graph_module, list)
    counts = iter((2, 1))
    with pytest.raises(InputRefused, match="changed between"):
        observe(graph_module, lambda: _images(next(counts)))


def test_a_constant_image_gives_a_finite_decision():
    case = decided(Net(lambda net, y: F.hardswish(y)), [(torch.full((1, 3, 9, 7), 0.25),)])
    assert case.decision.tensors["x"].high == pytest.approx(0.25, rel=1e-6)
    assert all(isinstance(t, TensorScale) and t.scale > 0 for t in case.decision.tensors.values())


def test_statistics_do_not_depend_on_the_batches():
    graph_module = capture(Net(lambda net, y: F.relu(y)), _images()[0]).graph_module
    images = torch.cat([each for (each,) in _images(4)])
    whole, halves = (
        observe(graph_module, lambda size=size: ((part,) for part in images.split(size)))
        for size in (4, 2)
    )
    assert whole.samples == halves.samples == 8
    for name, seen in whole.tensors.items():
        assert seen.low == pytest.approx(halves.tensors[name].low, abs=1e-5)
        if name == "x":
            assert torch.equal(seen.counts, halves.tensors[name].counts)
            expected = np.histogram(images.numpy(), 2048, (seen.low, seen.high))[0]
            assert np.abs(seen.counts.numpy() - expected).sum() <= 4


def test_statistics_of_another_graph_are_a_mistake():
    one, other = (capture(Net(f), _images()[0]).graph_module for f in (lambda n, y: y, _twice))
    with pytest.raises(ValueError, match="nothing about conv2d_2"):
        decide(other, observe(one, _images))


def _twice(net, y):
    return net.second(net.second(y))


def test_layers_are_kept_float_by_the_name_of_their_module():
    case = _case(lambda net, y: F.relu(net.second(F.relu(y))))
    assert list(layer_names(case.graph_module)) == ["first", "second", "last"]
    kept = case.again(keep_float=frozenset({"second"}))
    assert kept.kept_float["conv2d_1"] == "second is kept float as asked"
    assert set(kept.weights) == {"conv2d", "conv2d_2"}
    # What it reads is integer already, what reads it takes integers: one quantize behind its clip.
    assert set(kept.tensors) == set(case.decision.tensors)
    both = case.again(keep_float=frozenset({"second", "last"}))
    assert set(both.tensors) == {"x", "relu"}
    assert case.again(keep_float=frozenset({"conv2d_1"})) == kept


def test_a_layer_that_is_not_there_is_refused_with_the_nearest():
    case = _case(lambda net, y: net.second(y) + y)
    assert list(layer_names(case.graph_module)) == ["first", "second", "add", "last"]
    with pytest.raises(UsageError, match=r"no layer .* 'secnd'\. Did you mean 'second'"):
        case.again(keep_float=frozenset({"secnd"}))


def test_one_scale_for_all_weights_is_the_largest():
    case = _case(lambda net, y: y)
    one = case.again(per_tensor_weights=True).weights["conv2d"].scales
    assert set(one) == {max(case.decision.weights["conv2d"].scales)}


@pytest.mark.parametrize("name", ["transposed", "one-dimensional", "computed weights"])
def test_layers_without_a_form_in_integers_say_so(name):
    module, image = {
        "transposed": (nn.ConvTranspose2d(3, 4, 3), torch.randn(1, 3, 9, 7)),
        "one-dimensional": (nn.Conv1d(3, 4, 3), torch.randn(1, 3, 9)),
        "computed weights": (_Computed(), torch.randn(1, 3, 9, 7)),
    }[name]
    case = decided(module, [(image,)], reparameterized=False)
    assert not case.decision.weights
    reasons = " ".join(case.decision.kept_float.values())
    expected = {"transposed": "transposed", "one-dimensional": "conv1d has no form"}
    assert expected.get(name, "weights are computed") in reasons


class _Computed(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x):
        return F.conv2d(x, self.weight * x.mean())
