"""The asymmetric block against one convolution whose kernel is summed by hand, in float64."""

from __future__ import annotations

import pytest
import torch
from networks import randomize_batch_norm
from torch import nn
from torch.nn import functional

from cnn_export.models.parts.acb_convert import ACBlock


def trained_like(*sizes: int, **arguments: object) -> ACBlock:
    torch.manual_seed(3)
    block = ACBlock(*sizes, **arguments)  # pyright: ignore[reportArgumentType]
    randomize_batch_norm(block)
    return block.double().eval()


def summed(block: ACBlock) -> tuple[torch.Tensor, torch.Tensor]:
    """Return kernel and bias of the one convolution, from the state dict alone."""
    state = block.state_dict()
    size = state["square_conv.weight"].shape[-1]
    kernel, bias = torch.tensor(0.0), torch.tensor(0.0)
    for branch in ("square", "ver", "hor"):
        weight = torch.zeros_like(state["square_conv.weight"])
        strip = state[f"{branch}_conv.weight"]
        if branch == "square":
            weight += strip
        elif branch == "ver":
            weight[:, :, :, size // 2] = strip[:, :, :, 0]
        else:
            weight[:, :, size // 2, :] = strip[:, :, 0, :]
        deviation = (state[f"{branch}_bn.running_var"] + 1e-5).sqrt()
        scale = state.get(f"{branch}_bn.weight", torch.ones_like(deviation)) / deviation
        shift = state.get(f"{branch}_bn.bias", torch.zeros_like(deviation))
        kernel = kernel + weight * scale[:, None, None, None]
        bias = bias + shift - state[f"{branch}_bn.running_mean"] * scale
    return kernel, bias


GEOMETRY = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "padding": 2, "stride": 2},
    {"kernel_size": 3, "padding": 0},
    {"kernel_size": 5, "padding": 1},
    {"kernel_size": 5, "padding": 1, "stride": 2},
    {"kernel_size": 7, "padding": 5, "stride": (2, 1)},
    {"kernel_size": 3, "padding": (2, 0)},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "padding": 1, "dilation": 2},
    {"kernel_size": 5, "padding": (4, 1), "dilation": (2, 1), "stride": 3},
    {"kernel_size": 2, "padding": 0},
    {"kernel_size": 2, "padding": 1, "stride": 2},
    {"kernel_size": 4, "padding": 1},
    {"kernel_size": 4, "padding": 2, "dilation": 2, "stride": 2},
]


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("geometry", GEOMETRY, ids=str)
def test_equals_the_convolution_of_the_summed_kernels(geometry, padding_mode):
    block = trained_like(4, 6, groups=2, padding_mode=padding_mode, **geometry)
    maps = torch.randn(2, 4, 17, 14, dtype=torch.float64)
    kernel, bias = summed(block)
    single = nn.Conv2d(4, 6, groups=2, padding_mode=padding_mode, **geometry).double()
    single.weight, single.bias = nn.Parameter(kernel), nn.Parameter(bias)
    with torch.no_grad():
        torch.testing.assert_close(block(maps), single(maps), rtol=1e-10, atol=1e-10)


def test_depthwise():
    block = trained_like(6, 6, 3, padding=1, groups=6)
    maps = torch.randn(1, 6, 5, 9, dtype=torch.float64)
    with torch.no_grad():
        expected = functional.conv2d(maps, *summed(block), padding=1, groups=6)
        torch.testing.assert_close(block(maps), expected, rtol=1e-10, atol=1e-10)


def test_without_affine_norms():
    block = trained_like(3, 5, 3, padding=1, affine=False)
    assert not any("bn.weight" in name or "bn.bias" in name for name in block.state_dict())
    maps = torch.randn(1, 3, 7, 6, dtype=torch.float64)
    with torch.no_grad():
        expected = functional.conv2d(maps, *summed(block), padding=1)
        torch.testing.assert_close(block(maps), expected, rtol=1e-10, atol=1e-10)


def test_official_names_and_shapes():
    shapes = {name: tuple(t.shape) for name, t in ACBlock(4, 6, 5, padding=2).state_dict().items()}
    per_norm = {
        f"{branch}_bn.{name}": (6,)
        for branch in ("square", "ver", "hor")
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    counters = {f"{branch}_bn.num_batches_tracked": () for branch in ("square", "ver", "hor")}
    assert shapes == {
        "square_conv.weight": (6, 4, 5, 5),
        "ver_conv.weight": (6, 4, 5, 1),
        "hor_conv.weight": (6, 4, 1, 5),
        **per_norm,
        **counters,
    }


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_deployed_takes_the_official_tensors(padding):
    block = trained_like(3, 4, 5, padding=padding, stride=2)
    kernel, bias = summed(block)
    deployed = ACBlock(3, 4, 5, padding=padding, stride=2, deploy=True).double()
    deployed.load_state_dict({"fused_conv.weight": kernel, "fused_conv.bias": bias}, strict=True)
    maps = torch.randn(1, 3, 12, 9, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(deployed(maps), block(maps), rtol=1e-10, atol=1e-10)


def test_a_single_pixel_kernel_is_refused():
    with pytest.raises(ValueError, match="1x1 kernel has no strips"):
        ACBlock(3, 4, 1)
