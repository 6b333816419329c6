"""The pure arithmetic against torch's own layers in float64."""

import pytest
import torch
from torch.nn import functional as F

from cnn_export.reparam.passes.affine.batch_norm import (
    Affine,
    batch_norm_affine,
    batch_norm_fault,
    compose,
    fold_affine,
    response_to_shift,
    scale_input_channels,
)


def _statistics(channels):
    generator = torch.Generator().manual_seed(channels)
    mean = torch.randn(channels, generator=generator, dtype=torch.float64)
    variance = torch.rand(channels, generator=generator, dtype=torch.float64) + 0.2
    gamma = torch.randn(channels, generator=generator, dtype=torch.float64) + 1
    beta = torch.randn(channels, generator=generator, dtype=torch.float64)
    return mean, variance, gamma, beta


@pytest.mark.parametrize("affine", [True, False])
def test_affine_equals_torch_batch_norm(affine):
    mean, variance, gamma, beta = _statistics(5)
    if not affine:
        gamma = beta = None
    x = torch.randn(2, 5, 3, 7, dtype=torch.float64)
    expected = F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)
    map_ = batch_norm_affine(mean, variance, gamma, beta, 1e-3)
    actual = x * map_.scale.view(1, 5, 1, 1) + map_.shift.view(1, 5, 1, 1)
    torch.testing.assert_close(actual, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_fold_scales_the_right_channels_of_a_grouped_transposed_convolution(groups):
    weight = torch.randn(6, 2, 3, 2, dtype=torch.float64)
    out = 2 * groups
    affine = Affine(torch.arange(1.0, out + 1).double(), torch.arange(out).double() / 3)
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)
    plain = F.conv_transpose2d(x, weight, groups=groups, stride=2)
    expected = plain * affine.scale.view(1, -1, 1, 1) + affine.shift.view(1, -1, 1, 1)
    folded, bias = fold_affine(weight, None, affine, groups=groups, transposed=True)
    actual = F.conv_transpose2d(x, folded, bias, groups=groups, stride=2)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_fold_rounds_once_from_float64():
    weight = torch.tensor([[1.0 + 2**-20]])
    scale = torch.tensor([1.0 + 2**-30], dtype=torch.float64)
    bias = torch.tensor([2.0**-25])
    folded, shift = fold_affine(weight, bias, Affine(scale, torch.ones(1).double()))
    assert folded.dtype == torch.float32
    assert folded.item() == torch.tensor((1 + 2**-20) * (1 + 2**-30)).float().item()
    assert shift.item() == torch.tensor(2.0**-25 * (1 + 2**-30) + 1, dtype=torch.float64).float()


def test_composition_is_one_map_after_the_other():
    inner, outer = (Affine(*_statistics(channels=4)[i : i + 2]) for i in (0, 2))
    x = torch.randn(3, 4, dtype=torch.float64)
    expected = (x * inner.scale + inner.shift) * outer.scale + outer.shift
    map_ = compose(outer, inner)
    torch.testing.assert_close(x * map_.scale + map_.shift, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
def test_input_channels_of_grouped_convolutions(groups, transposed):
    scale = torch.arange(1.0, 7.0).double()
    x = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    shape = (6, 2, 3, 2) if transposed else (2 * groups, 6 // groups, 3, 2)
    weight = torch.randn(shape, dtype=torch.float64)
    run = F.conv_transpose2d if transposed else F.conv2d
    expected = run(x * scale.view(1, 6, 1, 1), weight, groups=groups)
    scaled = scale_input_channels(weight, scale, groups=groups, transposed=transposed)
    torch.testing.assert_close(run(x, scaled, groups=groups), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_response_to_a_constant_image(groups):
    weight = torch.randn(2 * groups, 6 // groups, 3, 2, dtype=torch.float64)
    shift = torch.randn(6, dtype=torch.float64)
    image = shift.view(1, 6, 1, 1).expand(1, 6, 3, 2)
    expected = F.conv2d(image, weight, groups=groups).flatten()
    actual = response_to_shift(weight, shift, groups=groups)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    matrix = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(response_to_shift(matrix, shift), F.linear(shift, matrix))


def test_faults_name_tensor_and_channel():
    mean, variance, gamma, beta = _statistics(5)
    assert batch_norm_fault(mean, variance, gamma, beta, 1e-5) is None
    assert "shape" in str(batch_norm_fault(mean, variance[:4], gamma, beta, 1e-5))
    gamma[4] = torch.nan
    assert batch_norm_fault(mean, variance, gamma, beta, 1e-5) == "its weight is nan in channel 4"
    variance[1] = -1.0
    fault = batch_norm_fault(mean, variance, None, None, 1e-5)
    assert fault == "its running_var is -1 in channel 1: var + eps is not above 0"
    assert batch_norm_fault(mean, variance, None, None, 1.5) is None
