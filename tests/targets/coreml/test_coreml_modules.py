"""Torch layers through coremltools' converter, against the layer in float64.

All layers are branches of one network, so that one conversion covers them.
"""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnn_export.program.program import capture
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.options import TargetOptions


class Apply(nn.Module):
    """A function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def batch_norm(channels):
    layer = nn.BatchNorm2d(channels)
    nn.init.uniform_(layer.running_mean, -1, 1)
    nn.init.uniform_(layer.running_var, 0.5, 2)
    nn.init.uniform_(layer.weight, 0.5, 2)
    nn.init.uniform_(layer.bias, -1, 1)
    return layer


def group_norm():
    layer = nn.GroupNorm(3, 6)
    nn.init.uniform_(layer.weight, 0.5, 2)
    nn.init.uniform_(layer.bias, -1, 1)
    return layer


torch.manual_seed(11)
LAYERS = {
    "conv_padded": nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=(1, 2), bias=False),
    "conv_grouped": nn.Conv2d(6, 8, 3, groups=2, dilation=(1, 2)),
    "conv_depthwise": nn.Conv2d(6, 12, (5, 1), groups=6, padding=(2, 0)),
    "conv_same": nn.Conv2d(6, 4, (5, 3), padding="same"),
    "conv_reflect": nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect"),
    "conv_replicate": nn.Conv2d(6, 4, 3, padding=1, padding_mode="replicate"),
    "transposed": nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
    "transposed_grouped": nn.ConvTranspose2d(6, 4, (3, 2), stride=(1, 2), groups=2),
    "pad_zero": nn.ZeroPad2d((1, 2, 0, 3)),
    "pad_constant": nn.ConstantPad2d((2, 0, 1, 1), 0.7),
    "pad_reflect": nn.ReflectionPad2d((2, 1, 3, 0)),
    "pad_replicate": nn.ReplicationPad2d((2, 1, 3, 0)),
    "max_pool": nn.MaxPool2d(3, stride=2, padding=1),
    "max_pool_ceil": nn.MaxPool2d((3, 2), stride=2, ceil_mode=True),
    "max_pool_ceil_padded": nn.MaxPool2d(3, stride=3, padding=1, ceil_mode=True),
    "avg_pool": nn.AvgPool2d((2, 3), stride=2, padding=1),
    "avg_pool_ceil": nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
    "avg_pool_exclude": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "avg_pool_ceil_exclude": nn.AvgPool2d(
        (2, 3), stride=2, padding=1, ceil_mode=True, count_include_pad=False
    ),
    "global_pool": nn.AdaptiveAvgPool2d(1),
    "adaptive_max": nn.AdaptiveMaxPool2d((1, 1)),
    "batch_norm": batch_norm(6),
    "instance_norm": nn.InstanceNorm2d(6),
    # coremltools 9.0 alone spells the scale as a batch norm with epsilon, 2e-5 off.
    "group_norm": group_norm(),
    "layer_norm": nn.LayerNorm([7, 5]),
    "local_response": nn.LocalResponseNorm(3, alpha=0.9),
    "relu6": nn.ReLU6(),
    "leaky_relu": nn.LeakyReLU(0.2),
    "prelu": nn.PReLU(6, init=0.3),
    "elu": nn.ELU(0.7),
    "selu": nn.SELU(),
    "celu": nn.CELU(0.8),
    "gelu": nn.GELU(),
    # coremltools 9.0 alone converts this to the erf form, 8e-4 off.
    "gelu_tanh": nn.GELU(approximate="tanh"),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "hardtanh": nn.Hardtanh(-0.4, 0.8),
    "mish": nn.Mish(),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
    "softmax": nn.Softmax(1),
    "tanh": nn.Tanh(),
    "log_softmax": nn.LogSoftmax(1),
    "handwritten_swish": Apply(lambda x: x * F.relu6(x + 3) / 6),
    "erf": Apply(torch.erf),
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(210, 9)),
    "matmul": Apply(lambda x: x @ x.transpose(2, 3)),
    "pixel_shuffle": Apply(lambda x: F.pixel_shuffle(x[:, :4], 2)),
    "pixel_unshuffle": Apply(lambda x: F.pixel_unshuffle(x[:, :, :6, :4], 2)),
    "channel_shuffle": nn.ChannelShuffle(3),
    "nearest": nn.Upsample(scale_factor=2, mode="nearest"),
    "nearest_size": nn.Upsample(size=(14, 10), mode="nearest"),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear_corners": nn.Upsample(size=(13, 11), mode="bilinear", align_corners=True),
    "bilinear_size": nn.Upsample(size=(13, 11), mode="bilinear", align_corners=False),
    "chunk_cat": Apply(lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)),
    "split_uneven": Apply(lambda x: torch.cat(x.split([1, 5], 1)[::-1], 1)),
    "stack": Apply(lambda x: torch.stack([x, x * 2], 2).flatten(1, 2)),
    "slice_step": Apply(lambda x: x[:, 1:-1:2, -4:]),
    "select": Apply(lambda x: x[:, 2] - x[:, -1]),
    "partial_residual": Apply(lambda x: torch.cat([x[:, :2] + x[:, 4:], x[:, 2:]], 1)),
    "pick": Apply(lambda x: x[:, [3, 0, 3]]),
    "flip": Apply(lambda x: x.flip(-1)),
    "alias": Apply(lambda x: x[:, :] * 2),
    "mean": Apply(lambda x: x.mean((2, 3))),
    "variance": Apply(lambda x: x.var((2, 3), correction=0)),
    "squeeze_excite": Apply(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid()),
    "maximum": Apply(lambda x: torch.maximum(x, x.flip(2)) - x.amax(1, keepdim=True)),
    "where": Apply(lambda x: torch.where(x > 0.1, x, x.square())),
    "masked": Apply(lambda x: x.masked_fill(x < 0, 0.5)),
    "norm": Apply(lambda x: F.normalize(x, dim=1)),
    "clamp": Apply(lambda x: x.clamp(min=-0.3)),
    "power": Apply(lambda x: (x.abs() + 0.1) ** 1.5 / (x.square() + 1).sqrt()),
    "expand": Apply(lambda x: x[:, :1].expand(-1, 3, -1, -1) + 0),
    "einsum": Apply(lambda x: torch.einsum("nchw,nkhw->nck", x, x)),
}


class Branches(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleDict(layers)

    def forward(self, x):
        return {f"{name}_": layer(x) for name, layer in self.layers.items()}


X = torch.randn(2, 6, 7, 5)  # odd, not square


@pytest.fixture(scope="module")
def program():
    return capture(Branches(LAYERS), (X,))


def outputs(program, precision, folder):
    path = folder / f"{precision}.mlpackage"
    CoreML().export(program, TargetOptions(precision=precision), path)
    return CoreML().load(path)({"x": X.numpy()})


@pytest.fixture(scope="module")
def float32(program, tmp_path_factory):
    return outputs(program, "fp32", tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="module")
def float16(program, tmp_path_factory):
    return outputs(program, "fp16", tmp_path_factory.mktemp("layers"))


def relative_error(got, layer):
    with torch.inference_mode():
        wanted = copy.deepcopy(layer).double()(X.double()).numpy()
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max() / np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_float32(name, float32):
    assert relative_error(float32[f"{name}_"], LAYERS[name].eval()) < 1e-5


@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_float16(name, float16):
    assert relative_error(float16[f"{name}_"], LAYERS[name].eval()) < 1e-2
