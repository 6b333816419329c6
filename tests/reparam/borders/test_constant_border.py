"""ConstantBorder: per-channel borders, however they were made, and what is no such border."""

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

import cnn_export
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.passes.borders.constant_border import ConstantBorder
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices

BEFORE = (FunctionalizeInplace(), FoldConstants(), SimplifySlices())


class _Bordered(nn.Module):
    """A 1x1 convolution, then a function of (its output, the values, the output's padding)."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1, bias=False), function
        self.register_buffer("value", torch.tensor([0.5, -1.25, 2.0, 0.1]))

    def forward(self, x):
        return self.function(self.conv(x), self.value.view(1, -1, 1, 1))


class _DiverseBranchPad(nn.Module):
    """Batch norm, zero pad, then the border set to what the norm makes of 0 (arXiv 2103.13425)."""

    def __init__(self, pixels):
        super().__init__()
        self.pixels, self.conv, self.bn = pixels, nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.bn.running_mean.normal_()
        self.bn.running_var.uniform_(0.5, 2)
        nn.init.normal_(self.bn.weight)
        nn.init.normal_(self.bn.bias)

    def forward(self, x):
        bn, pixels = self.bn, self.pixels
        scale = bn.weight.detach() / torch.sqrt(bn.running_var + bn.eps)
        value = (bn.bias.detach() - bn.running_mean * scale).view(1, -1, 1, 1)
        y = F.pad(bn(self.conv(x)), [pixels] * 4)
        y[:, :, 0:pixels, :] = value
        y[:, :, -pixels:, :] = value
        y[:, :, :, 0:pixels] = value
        y[:, :, :, -pixels:] = value
        return y


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("pixels", [1, 2])
def test_border_of_a_diverse_branch_block(pixels, dynamic):
    module = _DiverseBranchPad(pixels)
    checked = check_pass(
        ConstantBorder(), module, torch.randn(1, 3, 5, 8), dynamic=dynamic, before=BEFORE
    )
    assert len(checked.result.rewrites) == 1
    assert checked.ops == ["conv2d", "pad", "batch_norm"]
    (pad,) = (n for n in checked.graph_module.graph.nodes if "pad" in n.name)
    assert pad.args[1:] == ([pixels] * 4,)


def test_border_of_a_map_too_large_to_store_its_sides():
    """Stored, a side would be 67 kB in float64, and ``FoldConstants`` stores 65,536 bytes."""
    image = torch.randn(1, 3, 2, 2100)
    checked = check_pass(ConstantBorder(), _DiverseBranchPad(1), image, before=BEFORE)
    assert len(checked.result.rewrites) == 1
    assert checked.ops == ["conv2d", "pad", "batch_norm"]


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_branch_of_many_channels_becomes_one_convolution(stride):
    channels, (height, width) = 512, (7, 8)
    inner, pad = 2 * channels, _DiverseBranchPad(1)
    pad.conv = nn.Conv2d(channels, inner, 1, groups=channels, bias=False)
    pad.bn = nn.BatchNorm2d(inner)
    torch.manual_seed(2)
    randomize_batch_norm(pad)
    conv = nn.Conv2d(inner, channels, 3, stride, groups=channels, bias=False)
    image = torch.randn(1, channels, height, width)
    graph_module = graph_of(nn.Sequential(pad, conv), image)
    report = reparameterize_graph(graph_module)
    assert operators(graph_module) == ["conv2d"]
    assert report.proof is not None
    assert report.proof.relative_error < 1e-12


def test_batch_norm_read_by_others_stays_for_them():
    class Both(_DiverseBranchPad):
        def forward(self, x):
            return super().forward(x), self.bn(self.conv(x))

    checked = check_pass(ConstantBorder(), Both(1), torch.randn(1, 3, 5, 8), before=BEFORE)
    assert sorted(checked.ops) == ["batch_norm", "batch_norm", "conv2d", "conv2d", "pad"]


def test_border_that_is_nearly_the_value_at_zero_is_carried():
    """A value rounded to float32 on its way is another value."""
    module = _DiverseBranchPad(1)
    rounded = module.bn.running_mean.clone() * (1 + 1e-7)

    class Rounded(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module
            self.register_buffer("value", rounded)

        def forward(self, x):
            y = F.pad(self.inner.bn(self.inner.conv(x)), [1, 1, 0, 0])
            scale = self.inner.bn.weight / torch.sqrt(self.inner.bn.running_var + 1e-5)
            value = (self.inner.bn.bias - self.value * scale).view(1, -1, 1, 1)
            y[..., :1] = value
            y[..., -1:] = value
            return y

    checked = check_pass(ConstantBorder(), Rounded(), torch.randn(1, 3, 5, 8), before=BEFORE)
    assert checked.ops == ["conv2d", "batch_norm", "add", "pad", "add"]


def _sides(y, v):
    rows = v.expand(y.shape[0], 4, 1, y.shape[3])
    return torch.cat([rows, y, rows, rows], 2)


def _some_rows_and_columns(y, v):
    z = F.pad(y, (0, 2, 1, 0))
    z[:, :, :1] = v
    z[:, :, :, -2:] = v
    return z


def _uneven(y, v):
    z = F.pad(y, (3, 1, 0, 2))
    z[:, :, -2:] = v
    z[..., :3] = v
    z[..., -1:] = v
    return z


def _scalar(y, v):
    z = F.pad(y, (1, 1, 1, 1))
    z[:, :, ::5][:, :, :1] = 0.75
    z[:, :, 0] = 0.75
    z[:, :, -1] = 0.75
    z[..., 0] = 0.75
    z[..., -1] = 0.75
    return z


FIRES = {
    "concatenated rows": (_sides, ["add", "pad", "add"]),
    "two sides": (_some_rows_and_columns, ["add", "pad", "add"]),
    "uneven": (_uneven, ["add", "pad", "add"]),
    "zeros": (lambda y, v: torch.cat([torch.zeros(2, 4, 1, 8), y], 2), ["pad"]),
    "pieces of the map": (
        lambda y, v: torch.cat([y[:, :, :2], y[:, :, 2:], v.expand(2, 4, 3, 8)], 2),
        ["add", "pad", "add"],
    ),
}


@pytest.mark.parametrize("case", FIRES)
def test_fires(case):
    function, expected = FIRES[case]
    image = torch.randn(2, 3, 6, 8)
    checked = check_pass(ConstantBorder(), _Bordered(function), image, before=BEFORE)
    assert checked.ops == ["conv2d", *expected]


def test_large_borders_that_are_not_stored_count_too():
    def function(y, v):
        return torch.cat([torch.full((1, 4, 60, 80), 1.5), y], 2)

    image = torch.randn(1, 3, 6, 80)
    checked = check_pass(ConstantBorder(), _Bordered(function), image, before=BEFORE)
    assert checked.ops == ["conv2d", "add", "pad", "add"]


def _other_values(y, v):
    z = F.pad(y, (1, 1, 0, 0))
    z[..., :1] = v
    z[..., -1:] = v * 2
    return z


def _part_of_the_border(y, v):
    z = F.pad(y, (1, 1, 0, 0))
    z[..., :1] = v
    return z


def _varying(y, v):
    z = F.pad(y, (0, 0, 1, 0))
    z[:, :, :1] = torch.arange(8.0, dtype=y.dtype)
    return z


def _over_the_map(y, v):
    z = F.pad(y, (1, 0, 0, 0))
    z[..., :2] = v
    return z


STAYS = {
    "two values": _other_values,
    "part of the border": _part_of_the_border,
    "varying along the border": _varying,
    "covers some of the map": _over_the_map,
    "two maps": lambda y, v: torch.cat([y, y.relu(), v.expand(2, 4, 1, 8)], 2),
    "the map twice": lambda y, v: torch.cat([y, v.expand(2, 4, 1, 8), y], 2),
    "computed values": lambda y, v: torch.cat([y, y[:, :, :1] * 0], 2),
    "channels": lambda y, v: torch.cat([y, v.expand(2, 4, 6, 8)], 1),
    "swapped pieces": lambda y, v: torch.cat([y[:, :, 2:], y[:, :, :2], v.expand(2, 4, 1, 8)], 2),
    "plain pad": lambda y, v: F.pad(y, (1, 1), value=2.0),
}


@pytest.mark.parametrize("case", STAYS)
def test_stays(case):
    image = torch.randn(2, 3, 6, 8)
    checked = check_pass(ConstantBorder(), _Bordered(STAYS[case]), image, before=BEFORE)
    assert not checked.result.modified


def test_leaves_memory_that_is_written_to():
    def function(y, v):
        z = torch.cat([y, v.expand(2, 4, 1, 8)], 2)
        return z.mul_(2)

    checked = check_pass(
        ConstantBorder(), _Bordered(function), torch.randn(2, 3, 6, 8), before=(FoldConstants(),)
    )
    assert not checked.result.modified


@pytest.mark.parametrize("value", [-1e5, -100.0, float("-inf")])
def test_border_that_would_cost_digits_is_refused(value):
    """In float64 the detour over x - v would pass the proof; in float32 it would not be x."""

    class Padded(nn.Module):
        def forward(self, x):
            y = torch.full((1, 4, x.shape[2] + 2, x.shape[3] + 2), value, dtype=x.dtype)
            y[:, :, 1:-1, 1:-1] = x
            return nn.functional.max_pool2d(y, 3, 1)

    module, image = Padded(), torch.randn(1, 4, 9, 11)
    rewritten, report = cnn_export.reparameterize(module, image)
    torch.testing.assert_close(rewritten(image), module(image), rtol=0, atol=0)
    border = next(each for each in report.passes if each.name == "ConstantBorder")
    assert not border.rewrites
    assert any("digits" in refusal.reason for refusal in border.refusals)
