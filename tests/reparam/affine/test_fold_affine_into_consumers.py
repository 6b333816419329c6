"""FoldAffineIntoConsumers: exact at borders, for every operator crossed, and refusals."""

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.affine.fold_affine_into_consumers import FoldAffineIntoConsumers
from cnn_export.reparam.passes.affine.standalone_batch_norm import StandaloneBatchNorm
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants

BEFORE = (FoldConstants(),)


class _Call(nn.Module):
    """A function of the input and of named layers."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)
        randomize_batch_norm(self)

    def forward(self, x):
        return self.function(self, x)


def _stack(*layers):
    module = nn.Sequential(*layers)
    randomize_batch_norm(module)
    return module


def _norm(channels, spatial=2):
    return (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[spatial - 1](channels)


IMAGE = (2, 6, 7, 10)
WHOLLY = {
    "plain": ([_norm(6), nn.Conv2d(6, 5, 3, bias=False)], IMAGE, ["conv2d"]),
    "grouped dilated": ([_norm(6), nn.Conv2d(6, 4, 3, dilation=2, groups=2)], IMAGE, ["conv2d"]),
    "depthwise": ([_norm(6), nn.Conv2d(6, 12, 2, 2, groups=6)], IMAGE, ["conv2d"]),
    "same, 1x1": ([_norm(6), nn.Conv2d(6, 5, 1, padding="same")], IMAGE, ["conv2d"]),
    "reflect": ([_norm(6), nn.Conv2d(6, 5, 3, padding=1, padding_mode="reflect")], IMAGE,
                ["pad", "conv2d"]),
    "replicate": ([_norm(6), nn.Conv2d(6, 5, (1, 4), padding=(0, 2), padding_mode="replicate")],
                  IMAGE, ["pad", "conv2d"]),
    "circular": ([_norm(6), nn.Conv2d(6, 5, 3, padding=2, padding_mode="circular")], IMAGE,
                 ["pad", "conv2d"]),
    "1d": ([_norm(6, 1), nn.Conv1d(6, 4, 3, groups=2)], (2, 6, 9), ["conv1d"]),
    "3d": ([_norm(2, 3), nn.Conv3d(2, 4, (1, 2, 3))], (1, 2, 3, 5, 4), ["conv3d"]),
    "linear": ([_norm(6, 1), nn.Linear(6, 3, bias=False)], (4, 6), ["linear"]),
    "flattened": ([_norm(6), nn.Flatten(), nn.Linear(420, 3)], IMAGE, ["flatten", "linear"]),
    "average": ([_norm(6), nn.AvgPool2d(3, 2, ceil_mode=True), nn.Conv2d(6, 4, 2)], IMAGE,
                ["avg_pool2d", "conv2d"]),
    "average without padding counted": (
        [_norm(6), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.Conv2d(6, 4, 2)], IMAGE,
        ["avg_pool2d", "conv2d"]),
    "maximum": ([_norm(6), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 4, 2)], IMAGE,
                ["max_pool2d", "conv2d"]),
    "resized": ([_norm(6), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(6, 4, 2)],
                IMAGE, ["upsample_bilinear2d", "conv2d"]),
    "pooled": ([_norm(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)], IMAGE,
               ["adaptive_avg_pool2d", "flatten", "linear"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLLY)
def test_scale_and_shift_fold(case):
    layers, shape, ops = WHOLLY[case]
    checked = check_pass(FoldAffineIntoConsumers(), _stack(*layers), torch.randn(shape))
    assert checked.ops == ops
    assert checked.result.refusals == ()


OFFSET = {
    "zeros": [nn.Conv2d(6, 5, 3, padding=1, bias=False)],
    "zeros on one side": [nn.Conv2d(6, 4, (3, 1), padding=(1, 0), groups=2)],
    "far zeros around 1x1": [nn.Conv2d(6, 5, 1, padding=2)],
    "same": [nn.Conv2d(6, 5, (2, 3), padding="same")],
    "zero padding apart": [nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(6, 4, 2)],
    "average with padding counted": [nn.AvgPool2d(3, 2, 1), nn.Conv2d(6, 4, 2)],
    "average by another divisor": [nn.AvgPool2d(3, 2, divisor_override=5), nn.Conv2d(6, 4, 2)],
    "maximum, then zeros": [nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, padding=1)],
    "transposed": [nn.ConvTranspose2d(6, 4, 3, 2)],
    "transposed grouped": [nn.ConvTranspose2d(6, 4, (2, 3), padding=1, groups=2, bias=False)],
}


@pytest.mark.parametrize("case", OFFSET)
def test_one_sum_stays_where_zeros_are_padded(case):
    behind = OFFSET[case]
    module = _stack(_norm(6), *behind)
    before = operators(graph_of(module, torch.randn(IMAGE)))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert checked.ops == ["add", *before[1:]]


@pytest.mark.parametrize("padding", [0, 1])
def test_statistics_of_pixels_fold_as_one_map(padding):
    def forward(self, x):
        return self.conv((x / 255 - self.mean) / self.std)

    module = _Call(forward, conv=nn.Conv2d(3, 4, 3, 2, padding))
    module.register_buffer("mean", torch.rand(1, 3, 1, 1))
    module.register_buffer("std", torch.rand(3, 1, 1) + 0.2)
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.rand(1, 3, 9, 7) * 255)
    assert checked.ops == (["add", "conv2d"] if padding else ["conv2d"])


def test_every_reader_takes_over():
    def forward(self, x):
        y = self.norm(x)
        return self.first(y), self.second(y), self.head(y.mean((2, 3)))

    module = _Call(forward, norm=_norm(6), first=nn.Conv2d(6, 4, 3, padding=1),
                   second=nn.Conv2d(6, 2, 1, bias=False), head=nn.Linear(6, 3))  # fmt: skip
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert sorted(checked.ops) == ["add", "conv2d", "conv2d", "linear", "mean"]


def test_dynamic_batch():
    module = _stack(_norm(6), nn.Conv2d(6, 4, 3, padding=1), nn.Flatten(), nn.Linear(280, 3))
    checked = check_pass(
        FoldAffineIntoConsumers(), module, torch.randn(1, *IMAGE[1:]), dynamic=True
    )
    assert checked.ops == ["add", "conv2d", "flatten", "linear"]


def test_a_product_passes_a_rectifier_where_it_is_not_negative():
    def forward(self, x):
        return self.conv(F.leaky_relu(x * self.scale, 0.1))

    module = _Call(forward, conv=nn.Conv2d(6, 4, 3, padding=1))
    module.register_buffer("scale", torch.arange(6.0).reshape(6, 1, 1))
    assert check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE)).ops == [
        "leaky_relu",
        "conv2d",
    ]
    module.scale[2] = -1.0
    kept = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert kept.reasons == ["1 scales below 0 pass no maximum"]


def test_a_scale_below_zero_passes_no_maximum_but_an_average():
    for pool, folds in ((nn.MaxPool2d(2), False), (nn.AvgPool2d(2), True)):
        module = _stack(_norm(6), pool, nn.Conv2d(6, 4, 2))
        nn.init.constant_(module[0].weight[4:5], -0.7)
        checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
        assert checked.result.modified == folds
        assert checked.reasons == ([] if folds else ["1 scales below 0 pass no maximum"])


def test_a_shared_convolution_keeps_its_weights_for_other_readers():
    def forward(self, x):
        return self.conv(self.norm(x)), self.conv(x)

    module = _Call(forward, norm=_norm(6), conv=nn.Conv2d(6, 4, 3))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert checked.ops == ["conv2d", "conv2d"]
    assert len(checked.graph_module.state_dict()) == 4


def test_a_convolution_called_twice_alike_is_stored_once():
    def forward(self, x):
        return self.conv(self.norm(x)), self.conv(self.norm(x[:, :, 1:]))

    module = _Call(forward, norm=_norm(6), conv=nn.Conv2d(6, 4, 3))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert checked.ops == ["conv2d", "slice", "conv2d"]
    assert len(checked.graph_module.state_dict()) == 2


def test_one_after_the_other_from_the_last():
    module = _stack(_norm(6), nn.MaxPool2d(2), _norm(6), nn.Conv2d(6, 4, 2))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert checked.ops == ["max_pool2d", "conv2d"]
    assert len(checked.result.rewrites) == 2


UNTOUCHED = {
    "a rectifier": lambda self, x: self.conv(F.relu(self.norm(x))),
    "one sum": lambda self, x: self.padded(x + 3.0),
    "an output": lambda self, x: self.norm(x),
    "a bend": lambda self, x: self.conv(torch.sigmoid(self.norm(x))),
    "a constant border": lambda self, x: self.conv(F.pad(self.norm(x), (1, 1), value=2.0)),
    "a mean of channels": lambda self, x: self.norm(x).mean(1),
    "rows of one image": lambda self, x: self.pooled(x[0] * self.rows),
}


@pytest.mark.parametrize("case", UNTOUCHED)
def test_leaves_alone_without_a_word(case):
    pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Flatten(1), nn.Linear(70, 3))
    layers = {"conv": nn.Conv2d(6, 4, 2), "padded": nn.Conv2d(6, 4, 3, padding=1)}
    module = _Call(UNTOUCHED[case], norm=_norm(6), pooled=pooled, **layers)
    module.register_buffer("rows", torch.rand(7, 1))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE))
    assert not checked.result.modified
    assert checked.reasons == []


def _refused(module, *inputs):
    checked = check_pass(FoldAffineIntoConsumers(), module, *inputs)
    assert not checked.result.modified
    assert len(checked.reasons) == 1
    return checked.reasons[0]


def test_refuses_when_someone_else_reads_the_normalized_value():
    module = _Call(lambda self, x: (self.conv(y := self.norm(x)), y.sigmoid()), norm=_norm(6),
                   conv=nn.Conv2d(6, 4, 2))  # fmt: skip
    assert _refused(module, torch.randn(IMAGE)) == "sigmoid reads it and is no convolution"


def test_refuses_a_zero_scale_before_zero_padding():
    module = _stack(_norm(6), nn.Conv2d(6, 4, 3, padding=1))
    nn.init.zeros_(module[0].weight[3:4])
    assert "scale is 0 in channel 3" in _refused(module, torch.randn(IMAGE))


def test_refuses_a_sum_beyond_half_precision():
    module = _stack(_norm(6), nn.Conv2d(6, 4, 3, padding=1))
    nn.init.constant_(module[0].weight[1:2], 1e-9)
    assert "shift / scale is" in _refused(module, torch.randn(IMAGE))


def test_a_zero_scale_folds_where_the_shift_does():
    module = _stack(_norm(6), nn.Conv2d(6, 4, 3))
    nn.init.zeros_(module[0].weight[3:4])
    assert check_pass(FoldAffineIntoConsumers(), module, torch.randn(IMAGE)).ops == ["conv2d"]


def test_refuses_weights_that_are_not_finite():
    module = _stack(_norm(6), nn.Conv2d(6, 4, 3))
    module[1].weight.data[0, 0, 0, 0] = torch.inf
    graph_module = graph_of(module, torch.randn(IMAGE))
    result = FoldAffineIntoConsumers()(graph_module)
    assert "conv2d are not finite" in result.refusals[0].reason
    assert operators(graph_module) == ["batch_norm", "conv2d"]


def test_refuses_memory_that_is_written_to():
    def forward(self, x):
        y = self.norm(x)
        z = self.conv(y)
        return z, self.other(y), z.relu_()

    module = _Call(forward, norm=_norm(6), conv=nn.Conv2d(6, 4, 2), other=nn.Conv2d(6, 4, 2))
    result = FoldAffineIntoConsumers()(graph_of(module, torch.randn(IMAGE)))
    assert [each.reason for each in result.refusals] == ["conv2d is written to in place"]


class _ComputedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.conv, self.weight = (
            _norm(6),
            nn.Conv2d(6, 4, 3),
            nn.Parameter(torch.randn(4, 6, 3, 3)),
        )
        randomize_batch_norm(self)

    def forward(self, x, factor):
        y = self.norm(x)
        return F.conv2d(y, self.weight * factor) + self.conv(y)


def test_refuses_computed_weights():
    reason = _refused(_ComputedWeight(), torch.randn(IMAGE), torch.tensor(2.0))
    assert reason == "the weights of conv2d are computed in the graph"


class _ChannelsLast(nn.Module):
    """A scale and a shift on channels that stand last, read by linear layers."""

    def __init__(self, function):
        super().__init__()
        self.function, self.first, self.second = (
            function,
            nn.Linear(6, 4),
            nn.Linear(6, 5, bias=False),
        )
        self.scale, self.shift = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(1, 1, 1, 6))

    def forward(self, x):
        return self.function(self, x * self.scale + self.shift)


def test_linear_layers_take_over_channels_that_stand_last():
    module = _ChannelsLast(lambda m, y: (m.first(y), m.second(y)))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(2, 5, 7, 6), before=BEFORE)
    assert checked.ops == ["linear", "linear"]


@pytest.mark.parametrize(
    "function",
    [
        lambda m, y: m.first(y) + y.mean(),
        lambda m, y: m.first(y.relu()),
        lambda m, y: m.first(y.flatten(0, 1)),
    ],
)
def test_nothing_is_crossed_by_channels_that_stand_last(function):
    module = _ChannelsLast(function)
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(2, 5, 7, 6), before=BEFORE)
    assert not checked.result.modified


def test_a_normalization_before_a_linear_layer_is_still_spelled():
    """It is along dimension 1 and the layer along dimension 2, so neither takes the other over."""
    module = _Call(lambda m, x: m.linear(m.norm(x)), norm=nn.BatchNorm1d(6), linear=nn.Linear(6, 4))
    graph_module = graph_of(module, torch.randn(2, 6, 6))
    StandaloneBatchNorm()(graph_module)
    assert "batch_norm" not in operators(graph_module)


def test_rows_as_many_as_channels_are_no_channels():
    module = _Call(lambda m, x: m.linear(m.norm(x)), norm=nn.BatchNorm2d(6), linear=nn.Linear(6, 4))
    checked = check_pass(FoldAffineIntoConsumers(), module, torch.randn(2, 6, 5, 6))
    assert not checked.result.modified
