"""Random small networks: what every decision has to hold, whatever the network is."""

import dataclasses

import effort
import pytest
import torch
from decided import decided
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cnn import random_cnn

from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.scheme.placement.operators import carried_inputs
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.reparam.graph.operators import operator_name

METHODS = ("minmax", "percentile", "mse")


def _case(seed, method):
    case = random_cnn(seed)
    generator = torch.Generator().manual_seed(seed)
    batches = [
        tuple(torch.randn(each.shape, generator=generator) * (1 + k) for each in case.inputs)
        for k in range(2)
    ]
    return decided(case.module, batches, ranges=method), batches


def _output_of(node, tensors):
    """The decided tensor behind an operator: its own, or the clip's that alone reads it."""
    if node.name in tensors:
        return tensors[node.name]
    (user,) = node.users
    assert operator_name(user) in ("relu", "relu6", "hardtanh", "clamp")
    return tensors[user.name]


def _float32(value):
    return torch.tensor(value, dtype=torch.float32).double().item()


@settings(max_examples=effort.examples(40))
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_every_decision_fits_the_runtimes(seed, method):
    case, _ = _case(seed, method)
    tensors, weights = case.decision.tensors, case.decision.weights
    for scale in tensors.values():
        assert 0 < scale.scale == _float32(scale.scale)
        assert -128 <= scale.zero_point <= 127
        assert scale.low <= 0 <= scale.high
    for node in case.graph_module.graph.nodes:
        layer = read_linear_operator(node)
        if node.name in weights:
            scales = weights[node.name].scales
            assert all(0 < each == _float32(each) for each in scales)
            steps = torch.tensor(scales).double() * tensors[layer.input.name].scale
            ratios = steps / _output_of(node, tensors).scale
            assert (ratios >= 2**-32).all()
            assert (ratios <= 33).all()
            weight = constant(case.graph_module, layer.weight).double()
            view = torch.tensor(scales).double().reshape(-1, *[1] * (weight.ndim - 1))
            integers = (weight / view).round()
            assert integers.abs().max() <= 127
            bias = constant(case.graph_module, layer.bias) if layer.bias is not None else None
            most = integers.abs().flatten(1).sum(1).max() * 255
            if bias is not None:
                assert (bias.double() / steps).abs().max() <= 2**20 + 1
                most += 2**20
            assert most < 2**31
        elif node.op == "call_function" and operator_name(node) in ("add", "mul"):
            if node.name in case.decision.kept_float:
                continue
            inputs = [tensors[each.name].scale for each in node.all_input_nodes]
            output = _output_of(node, tensors).scale
            if operator_name(node) == "add":
                assert all(2**-10 <= each / output < 256 for each in inputs)
            elif len(inputs) == 2:
                assert 2**-16 <= inputs[0] * inputs[1] / output < 256


@settings(max_examples=effort.examples(25))
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_what_only_moves_values_keeps_the_scale(seed, method):
    case, _ = _case(seed, method)
    tensors = case.decision.tensors
    for node in case.graph_module.graph.nodes:
        sources = carried_inputs(case.graph_module, node) if node.op == "call_function" else None
        if sources and node.name in tensors and all(each.name in tensors for each in sources):
            steps = {(tensors[n.name].scale, tensors[n.name].zero_point) for n in (node, *sources)}
            assert len(steps) == 1, node.name


@settings(max_examples=effort.examples(25))
@given(st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_read_in_float64_all_is_finite_and_on_the_grid(seed, method):
    case, batches = _case(seed, method)
    quantized = quantized_graph(case.graph_module, case.decision, Spelling())
    (output,) = case.graph_module.graph.output_node().args[0]
    with torch.no_grad():
        (got,) = quantized(*batches[0])
    assert got.isfinite().all()
    scale = case.decision.tensors.get(output.name)
    if scale is not None:
        steps = got.double() / scale.scale
        assert (steps - steps.round()).abs().max() < 1e-3
        assert got.min() >= scale.low * (1 + 1e-6)
        assert got.max() <= scale.high * (1 + 1e-6)


@pytest.mark.parametrize("seed", [3, 77])
def test_the_same_data_give_the_same_decision(seed):
    (first, _), (second, _) = _case(seed, "mse"), _case(seed, "mse")
    assert dataclasses.asdict(first.decision) == dataclasses.asdict(second.decision)
    assert first.decision.weights
