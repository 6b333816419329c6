"""The pure arithmetic against torch's own layers in float64."""

import pytest
import torch
from torch.nn import functional as F

from cnn_export.reparam.batch_norm import Affine, batch_norm_affine, fold_affine


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
