"""Sensitivity and the layers to keep in float: on errors that are known, and on a real network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from cnn_export.program.program import capture
from cnn_export.quantization.accuracy.float_layers.keep_float import choose_float, relative_cost
from cnn_export.quantization.accuracy.float_layers.layer_costs import layer_costs
from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerCost, measure_sensitivity
from cnn_export.quantization.accuracy.output_error import output_error


def layers(count: int) -> list[LayerCost]:
    return [LayerCost(f"l{index}", 100 + 37 * index % 11, 10 + index) for index in range(count)]


class Additive:
    """A network whose layers add their own errors; counts how often it is asked."""

    def __init__(self, errors: dict[str, float]) -> None:
        self.errors, self.asked = errors, 0

    def __call__(self, kept: frozenset[str]) -> float:
        self.asked += 1
        return sum(error for name, error in self.errors.items() if name not in kept)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_all_layers_are_measured_where_there_is_time(errors: list[int]) -> None:
    network = Additive({f"l{index}": float(error) for index, error in enumerate(errors)})
    found = measure_sensitivity(network, layers(len(errors)), evaluations=100)
    assert {each.layer.name: each.gain for each in found} == network.errors
    assert all(each.measured for each in found)
    assert [each.gain for each in found] == sorted((each.gain for each in found), reverse=True)


@pytest.mark.parametrize("evaluations", [2, 3, 4, 9, 16, 48])
def test_as_many_networks_as_allowed(evaluations: int) -> None:
    errors = {f"l{index}": 0.01 for index in range(53)} | {"l7": 5.0, "l40": 9.0}
    network = Additive(errors)
    found = measure_sensitivity(network, layers(53), evaluations)
    assert network.asked <= evaluations
    assert sorted(each.layer.name for each in found) == sorted(errors)
    assert sum(each.gain for each in found) == pytest.approx(sum(errors.values()))
    if evaluations >= 48:
        assert [each.layer.name for each in found[:2]] == ["l40", "l7"]
        assert found[0].measured
        assert found[0].gain == pytest.approx(9)
    again = measure_sensitivity(Additive(errors), layers(53), evaluations)
    assert found == again, "nothing depends on the clock"


def test_layers_cost_what_they_multiply_and_hold() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 6, (3, 5), stride=2, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 4 * 5, 7),
    )
    program = capture(network, [torch.zeros(1, 4, 9, 13)])
    first, second = layer_costs(program.graph_module, {"linear": "head"})
    assert first == LayerCost("conv2d", 4 * 5 * 6 * 2 * 3 * 5, 3 * 6 * 2 * 3 * 5)
    assert second == LayerCost("head", 120 * 7, 3 * 120 * 7)
    many = capture(network, [torch.zeros(1, 4, 9, 13)], dynamic_batch=True)
    assert [each.macs for each in layer_costs(many.graph_module)] == [first.macs, second.macs]
    fixed = capture(network, [torch.zeros(3, 4, 9, 13)])
    assert [each.macs for each in layer_costs(fixed.graph_module)] == [first.macs, second.macs]


def test_no_layers() -> None:
    assert measure_sensitivity(Additive({}), []) == ()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=7), st.integers(0, 40))
def test_the_chosen_set_meets_the_bound_and_nothing_is_needless(
    errors: list[int], bound: int
) -> None:
    network = Additive({f"l{index}": float(error) for index, error in enumerate(errors)})
    sensitivity = measure_sensitivity(network, layers(len(errors)), evaluations=100)
    chosen = choose_float(sensitivity, lambda kept: network(kept) <= bound)
    assert chosen is not None
    kept = frozenset(chosen.names)
    assert network(kept) <= bound
    assert all(network(kept - {name}) > bound for name in kept)
    cost = {each.layer.name: relative_cost(each, sensitivity) for each in sensitivity}
    best = min(
        sum(cost[name] for name in names)
        for size in range(len(errors) + 1)
        for names in itertools.combinations(cost, size)
        if network(frozenset(names)) <= bound
    )
    total = sum(cost[name] for name in kept)
    assert total <= 2 * best + max(cost.values()) * (best > 0)
    assert chosen.macs_share == pytest.approx(
        sum(each.layer.macs for each in sensitivity if each.layer.name in kept)
        / sum(each.layer.macs for each in sensitivity)
    )


def test_nothing_is_kept_where_int8_is_good_enough() -> None:
    chosen = choose_float(measure_sensitivity(Additive({"l0": 3}), layers(1)), lambda _kept: True)
    assert chosen is not None
    assert (chosen.names, chosen.macs_share, chosen.tried) == ((), 0, 1)


def test_a_bound_that_float_does_not_meet_either() -> None:
    sensitivity = measure_sensitivity(Additive({f"l{i}": 1 for i in range(9)}), layers(9))
    assert choose_float(sensitivity, lambda _kept: False) is None


def test_a_cheap_layer_that_is_not_needed_in_the_end_is_given_back() -> None:
    """By gain per cost the small one comes first; the large one alone is enough."""
    network = Additive({"small": 2, "large": 9, "other": 0})
    costs = [LayerCost("small", 1, 1), LayerCost("large", 900, 900), LayerCost("other", 100, 100)]
    sensitivity = measure_sensitivity(network, costs)
    large, small, _ = (each.gain / relative_cost(each, sensitivity) for each in sensitivity)
    assert small > large
    chosen = choose_float(sensitivity, lambda kept: network(kept) <= 2)
    assert chosen is not None
    assert chosen.names == ("large",)


def test_gains_that_do_not_add_up_are_tried_as_a_whole() -> None:
    """Two layers of which each hides the other's error: neither alone helps."""

    def error(kept: frozenset[str]) -> float:
        return 0.1 * (8 - len(kept)) + 5.0 * (not {"l2", "l5"} <= kept)

    sensitivity = measure_sensitivity(error, layers(8), evaluations=40)
    chosen = choose_float(sensitivity, lambda kept: error(kept) < 1)
    assert chosen is not None
    assert {"l2", "l5"} <= set(chosen.names)


class Chain(nn.Module):
    """Six convolutions; one has channels whose weights differ in size a thousandfold."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.ModuleList(
            nn.Conv2d(3 if index == 0 else 8, 8, 3, padding=1) for index in range(6)
        )
        with torch.no_grad():
            self.layers[3].weight *= torch.logspace(-3, 0, 8).reshape(-1, 1, 1, 1)
            self.layers[4].weight *= torch.logspace(3, 0, 8).reshape(1, -1, 1, 1)

    def forward(self, image: torch.Tensor, kept: frozenset[str]) -> torch.Tensor:
        for index, layer in enumerate(self.layers):
            weight = layer.weight if f"l{index}" in kept else four_bits(layer.weight)
            image = functional.relu(functional.conv2d(image, weight, layer.bias, padding=1))
        return image.mean((2, 3))


def four_bits(weight: torch.Tensor) -> torch.Tensor:
    """Round to one scale for the whole tensor: what small channels do not survive."""
    scale = weight.abs().max() / 7
    return (weight / scale).round() * scale


def test_the_layer_that_spoils_a_network_is_found() -> None:
    network, everything = Chain().eval(), frozenset(f"l{index}" for index in range(6))
    image = torch.from_numpy(np.random.default_rng(1).standard_normal((6, 3, 9, 14))).float()

    def outputs(kept: frozenset[str]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return {"y": network(image, kept).numpy()}

    def error(kept: frozenset[str]) -> float:
        return output_error([(outputs(everything), outputs(kept))], {"y": "vector"})

    found = measure_sensitivity(error, layers(6))
    alone = {name: error(everything - {name}) for name in everything}
    assert found[0].layer.name == max(alone, key=alone.__getitem__)
    chosen = choose_float(found, lambda kept: error(kept) < error(frozenset()) / 10)
    assert chosen is not None
    assert 0 < len(chosen.names) < 6
