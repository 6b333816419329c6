"""Ranges and scales of cross-layer equalization, against loops over channels."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from cnn_export.reparam.passes.equalize.equalization import (
    Clip,
    LayerWeights,
    equalizing_scales,
    is_equalized,
)

KINDS = [
    pytest.param((6, 4, 3, 2), 1, False, id="conv"),
    pytest.param((6, 2, 3, 3), 2, False, id="grouped conv"),
    pytest.param((4, 1, 5, 3), 4, False, id="depthwise"),
    pytest.param((8, 1, 3, 3), 4, False, id="depthwise with multiplier"),
    pytest.param((5, 7), 1, False, id="linear"),
    pytest.param((4, 6, 2, 3), 1, True, id="transposed"),
    pytest.param((4, 3, 2, 3), 2, True, id="grouped transposed"),
]


def _layer(shape: tuple[int, ...], groups: int, transposed: bool, seed: int = 0) -> LayerWeights:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    outputs = shape[1] * groups if transposed else shape[0]
    bias = torch.randn(outputs, generator=generator, dtype=torch.float64)
    return LayerWeights(weight, bias, groups, transposed)


def _run(layer: LayerWeights, x: torch.Tensor) -> torch.Tensor:
    if layer.weight.ndim == 2:
        return F.linear(x, layer.weight, layer.bias)
    call = F.conv_transpose2d if layer.transposed else F.conv2d
    return call(x, layer.weight, layer.bias, groups=layer.groups)


def _inputs(layer: LayerWeights) -> int:
    if layer.transposed:
        return layer.weight.shape[0]
    return layer.weight.shape[1] * layer.groups


def _image(layer: LayerWeights) -> torch.Tensor:
    size = () if layer.weight.ndim == 2 else (7, 5)
    return torch.randn(2, _inputs(layer), *size, dtype=torch.float64)


@pytest.mark.parametrize(("shape", "groups", "transposed"), KINDS)
def test_ranges_are_what_torch_s_own_operator_reads(shape, groups, transposed) -> None:
    """An impulse through the layer shows which weights belong to which channel."""
    layer = _layer(shape, groups, transposed)
    plain = LayerWeights(layer.weight, None, groups, transposed)
    size = () if len(shape) == 2 else (9, 9)
    answers = []
    for channel in range(_inputs(layer)):
        impulse = torch.zeros(1, _inputs(layer), *size, dtype=torch.float64)
        impulse[(0, channel, 4, 4) if size else (0, channel)] = 1
        answers.append(_run(plain, impulse)[0].flatten(1 if size else 0).abs())
    stacked = torch.stack(answers).reshape(_inputs(layer), len(layer.output_ranges), -1)
    torch.testing.assert_close(layer.input_ranges, stacked.amax((1, 2)))
    torch.testing.assert_close(layer.output_ranges, stacked.amax((0, 2)))


@pytest.mark.parametrize(("shape", "groups", "transposed"), KINDS)
def test_scaled_layers_scale_their_channels(shape, groups, transposed) -> None:
    layer = _layer(shape, groups, transposed)
    x = _image(layer)
    outputs = torch.rand(len(layer.output_ranges), dtype=torch.float64) + 0.2
    inputs = torch.rand(_inputs(layer), dtype=torch.float64) + 0.2
    spatial = [1] * (x.ndim - 2)
    expected = _run(layer, x) / outputs.view(-1, *spatial)
    torch.testing.assert_close(_run(layer.divide_outputs(outputs), x), expected)
    expected = _run(layer, x * inputs.view(-1, *spatial))
    torch.testing.assert_close(_run(layer.multiply_inputs(inputs), x), expected)


def test_ranges_become_the_geometric_mean() -> None:
    first, second = _layer((6, 4, 3, 3), 1, False), _layer((5, 6, 1, 1), 1, False, 1)
    scales = equalizing_scales(first, second)
    wanted = (first.output_ranges * second.input_ranges).sqrt()
    torch.testing.assert_close(first.divide_outputs(scales).output_ranges, wanted)
    torch.testing.assert_close(second.multiply_inputs(scales).input_ranges, wanted)
    assert not is_equalized(scales)
    after = equalizing_scales(first.divide_outputs(scales), second.multiply_inputs(scales))
    assert is_equalized(after)


def test_dead_channels_stay() -> None:
    first, second = _layer((6, 4, 3, 3), 1, False), _layer((5, 6, 1, 1), 1, False, 1)
    first.weight[0] = 0
    second.weight[:, 1] = 0
    first.weight[2] *= 1e-6  # beside a bias of about 1 nothing but a constant
    first.weight[3] *= 1e-6
    first.bias[3] = 0  # a small channel that is none
    scales = equalizing_scales(first, second)
    assert scales[:3].tolist() == [1, 1, 1]
    assert scales[3] < 0.01
    assert bool(scales.isfinite().all())


def test_a_clip_is_crossed_only_where_it_is_never_reached() -> None:
    first = LayerWeights(
        torch.tensor([[0.5, -2.0], [0.9, 0.3], [-1.0, -1.0], [0.01, 0.02]], dtype=torch.float64),
        torch.tensor([1.0, 0.0, -0.5, 0.001], dtype=torch.float64),
    )
    clip = Clip(high=6.0, input_high=6.0)
    # Largest values by hand: 0.5·6 + 1, (0.9 + 0.3)·6, none above 0, 0.03·6 + 0.001.
    torch.testing.assert_close(
        first.upper_bounds(6.0), torch.tensor([4.0, 7.2, -0.5, 0.181], dtype=torch.float64)
    )
    assert clip.blocked(first) == 1
    second = LayerWeights(torch.full((3, 4), 100.0, dtype=torch.float64), None)
    scales = equalizing_scales(first, second, clip)
    assert scales[1] == 1
    # Channel 1 is fixed, B1 = 0.9 and B2 = 100; with M = sqrt(2 * 100), t is M / B2.
    t = 200**0.5 / 100
    assert scales[0] == pytest.approx(2.0 / (t * 200**0.5))
    assert scales[2] == pytest.approx(1.0 / (t * 100**0.5))
    assert scales[3] == pytest.approx(0.02 / (t * 2**0.5))
    rows = [0, 2, 3]
    reaching = dataclasses.replace(first, weight=first.weight[rows], bias=first.bias[rows])
    weak = LayerWeights(torch.full((3, 3), 1e5, dtype=torch.float64), None)
    held = equalizing_scales(reaching, weak, clip)
    # The ranges alone ask for 0.004, which would bring the largest 4.0 above the clip.
    assert held[0] == pytest.approx(4.0 / 6.0)
    assert held[2] == pytest.approx(0.181 / 6.0)
    assert bool((first.divide_outputs(scales).upper_bounds(6.0)[[0, 2, 3]] <= 6 + 1e-12).all())


def test_fixed_channels_never_make_the_product_of_ranges_larger() -> None:
    """Free channels beside a fixed one: no other common factor gives a smaller product."""
    for seed in range(20):
        first, second = _layer((6, 4, 3, 3), 1, False, seed), _layer((5, 6), 1, False, seed + 50)
        first.weight[0] *= 10.0 ** (seed % 5 - 2)
        first.bias[0] = 1e9  # a constant in all but name: fixed
        first.bias[1:] = 0

        def product(factor: torch.Tensor, first: LayerWeights = first,
                    second: LayerWeights = second) -> float:  # fmt: skip
            ranges = first.divide_outputs(factor).output_ranges.max()
            return float(ranges * second.multiply_inputs(factor).input_ranges.max())

        scales = equalizing_scales(first, second)
        assert scales[0] == 1
        assert product(scales) <= product(torch.ones(6)) * (1 + 1e-12)
        for factor in (0.5, 0.9, 1.1, 2.0):
            others = scales * torch.tensor([1.0] + [factor] * 5, dtype=torch.float64)
            assert product(scales) <= product(others) * (1 + 1e-12)


def test_nothing_to_scale_is_equalized() -> None:
    assert is_equalized(torch.ones(4))
    assert is_equalized(torch.ones(0))
    assert not is_equalized(torch.tensor([1.0, 1.01]))
