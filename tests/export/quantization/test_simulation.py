"""A decision in floats: near what converters get, corrected, and told layer by layer."""

import math

import pytest
import torch
from decided import decided
from torch import nn
from torch.nn import functional as F

from cnn_export.quantization.decision import Decision
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.simulation.bias_correction import correct_biases
from cnn_export.quantization.scheme.simulation.fake_quantized import FakeQuantized, rounded
from cnn_export.quantization.scheme.simulation.layer_errors import layer_errors
from cnn_export.quantization.spelling import Spelling


class Net(nn.Module):
    """Two layers, a sum, an island of floats, a linear layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6, bias=False)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        y = F.relu6(self.first(x))
        y = F.hardswish(y + self.second(y))
        return self.head(self.depthwise(y).mean((2, 3)))


def _batches(count=3):
    generator = torch.Generator().manual_seed(4)
    return [(torch.randn(2, 3, 9, 7, generator=generator) + 0.5,) for _ in range(count)]


@pytest.fixture(scope="module")
def case():
    return decided(Net(), _batches(), reparameterized=False)


def _run(module, batch):
    with torch.no_grad():
        return (module.run if isinstance(module, FakeQuantized) else module)(*batch)[0]


def test_simulated_outputs_are_those_of_the_converters_graph(case):
    simulated = FakeQuantized(case.graph_module, case.decision)
    quantized = quantized_graph(case.graph_module, case.decision, Spelling())
    step = case.decision.tensors["linear"].scale
    for batch in _batches():
        difference = (_run(simulated, batch) - _run(quantized, batch)).abs()
        assert difference.max() <= 1.01 * step
        assert (difference < 0.01 * step).double().mean() > 0.7
        plain = _run(case.graph_module, batch)
        assert 0.1 * step < (_run(simulated, batch) - plain).abs().max() < 8 * step


def test_gradients_pass_through_rounding_but_not_through_clipping(case):
    scale = case.decision.tensors["x"]
    value = torch.tensor([scale.low - 1, 0.3 * scale.high, scale.high + 1], requires_grad=True)
    rounded(value, scale).sum().backward()
    assert value.grad.tolist() == [0, 1, 0]


def _channel_shift(case, decision, batches):
    """How far the logits' means are from those in float, largest of all classes."""
    simulated = FakeQuantized(case.graph_module, decision)
    shift = sum((_run(simulated, b) - _run(case.graph_module, b)).sum(0) for b in batches)
    return (shift / sum(len(b[0]) for b in batches)).abs().max().item()


def _coarse(case):
    """The same decision with weights of seven levels: rounding then shifts means."""
    weights = {
        name: type(each)(tuple(scale * 42 for scale in each.scales))
        for name, each in case.decision.weights.items()
    }
    return Decision(case.decision.tensors, weights)


def test_corrected_biases_keep_the_means(case):
    coarse = _coarse(case)
    corrected = correct_biases(case.graph_module, coarse, _batches)
    before, after = (_channel_shift(case, d, _batches()) for d in (coarse, corrected))
    step = case.decision.tensors["linear"].scale
    assert before > 2 * step
    assert after < step
    assert all(each.bias_correction for each in corrected.weights.values())
    # And in the graph that converters get: corrections lie in the biases there.
    quantized = quantized_graph(case.graph_module, corrected, Spelling())
    shift = sum((_run(quantized, b) - _run(case.graph_module, b)).sum(0) for b in _batches()) / 6
    assert shift.abs().max() < step


def test_corrections_use_so_many_samples_and_no_more(case):
    coarse = _coarse(case)
    four = correct_biases(case.graph_module, coarse, _batches, samples=3)
    three = correct_biases(
        case.graph_module, coarse, lambda: [(torch.cat([b for (b,) in _batches()])[:3],)]
    )
    assert four == three
    assert four != correct_biases(case.graph_module, coarse, _batches)


def test_layers_with_float_inputs_are_not_corrected(case):
    alone = Decision({}, case.decision.weights)
    assert correct_biases(case.graph_module, alone, _batches) == alone


def test_every_layer_tells_its_range_and_error(case):
    found = layer_errors(case.graph_module, case.decision, case.statistics, _batches)
    assert [each.name for each in found] == ["first", "second", "add", "depthwise", "head"]
    assert [each for each in found if not each.integer or each.saturated] == []
    first = found[0]
    assert first.range[0] <= first.seen[0] == 0
    assert [each for each in found if not 15 < each.snr_db < 60] == []
    simulated = FakeQuantized(case.graph_module, case.decision)
    got, plain = (
        torch.cat([_run(m, b) for b in _batches()]).double() for m in (simulated, case.graph_module)
    )
    errors, signals = (got - plain).square().sum().item(), plain.square().sum().item()
    assert found[-1].snr_db == pytest.approx(10 * math.log10(signals / errors), abs=0.01)


def test_saturation_is_the_share_that_the_range_cuts_off(case):
    narrow = case.again(ranges="percentile", percentile=90.0)
    found = layer_errors(case.graph_module, narrow, case.statistics, _batches)
    second = next(each for each in found if each.name == "second")
    assert 0.04 < second.saturated < 0.12
    low, high = second.range
    with torch.no_grad():
        y = [F.relu6(F.conv2d(x, *_first(case), padding=1)) for (x,) in _batches()]
        values = torch.cat([F.conv2d(each, *_second(case), padding=1) for each in y])
    outside = ((values < low) | (values > high)).double().mean().item()
    assert second.saturated == pytest.approx(outside, abs=0.01)


def _first(case):
    return case.graph_module.first.weight, case.graph_module.first.bias


def _second(case):
    return case.graph_module.second.weight, case.graph_module.second.bias


def test_a_layer_kept_float_loses_nothing_of_its_own(case):
    kept = case.again(keep_float=frozenset({"first"}))
    found = layer_errors(case.graph_module, kept, case.statistics, _batches)
    assert not found[0].integer
    assert (
        found[0].snr_db
        > layer_errors(case.graph_module, case.decision, case.statistics, _batches)[0].snr_db
    )
