"""Merging whatever is linear between one source and one value."""

import itertools

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linear_blocks import (
    BorderedNorm,
    Scale,
    ScaledMixer,
    Sum,
    asymmetric,
    conv_norm,
    diverse,
    mobileone,
    random_region,
    repvgg,
)
from pass_checks import check_pass, graph_of
from random_cnn import randomize_batch_norm
from torch import nn
from torch.nn import functional as F

from cnn_export.models.acb import acb_convert
from cnn_export.reparam.operators import operator_name
from cnn_export.reparam.passes.canonical_operators import CanonicalOperators
from cnn_export.reparam.passes.constant_folding import FoldConstants
from cnn_export.reparam.passes.merge_linear_branches import MergeLinearBranches
from cnn_export.reparam.passes.remove_no_ops import RemoveNoOps

HYPOTHESIS = settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def _image(channels=4, height=11, width=14, batch=2):
    return torch.randn(batch, channels, height, width)


def _check(module, *inputs, **options):
    torch.manual_seed(3)
    randomize_batch_norm(module)
    inputs = inputs or (_image(),)
    return check_pass(MergeLinearBranches(), module, *inputs, **options)


def _merges(module, *inputs, **options):
    """The whole module becomes one convolution."""
    checked = _check(module, *inputs, **options)
    assert checked.ops == ["conv2d"]
    return next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "conv2d")


BLOCKS = {
    "repvgg": lambda: repvgg(4, 4),
    "repvgg, stride": lambda: repvgg(4, 6, stride=2),
    "repvgg, groups": lambda: repvgg(4, 4, groups=2),
    "acb": lambda: asymmetric(4, 3, 1),
    "acb 5, stride": lambda: asymmetric(4, 5, 2, stride=2),
    "acb 5, little padding": lambda: asymmetric(4, 5, 1),
    "acb 3, no padding": lambda: asymmetric(4, 3, 0),
    "acb 5, little padding, stride": lambda: asymmetric(4, 5, 1, stride=2),
    "acb, more padding": lambda: asymmetric(4, 3, 2),
    "acb, dilation": lambda: asymmetric(4, 3, 2, dilation=2),
    "acb, depthwise": lambda: asymmetric(4, 3, 1, groups=4),
    "acb, affine=False": lambda: asymmetric(4, 3, 1, affine=False),
    "mobileone": lambda: mobileone(4, 1),
    "mobileone, depthwise": lambda: mobileone(4, 4),
    "fastvit": lambda: ScaledMixer(4),
    "repghost": lambda: Sum(conv_norm(4, 4, 3, padding=1, groups=4), nn.BatchNorm2d(4)),
    "repvit": lambda: nn.Sequential(
        Sum(conv_norm(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 1, groups=4), None),
        nn.BatchNorm2d(4),
    ),
    "average pool": lambda: Sum(conv_norm(4, 4, 3, padding=1), nn.AvgPool2d(3, 1, 1)),
    "several scales": lambda: Sum(nn.Conv2d(4, 4, 3, padding=1), Scale(4), Scale(4), None),
    "nested": lambda: Sum(Sum(conv_norm(4, 4, 3, padding=1), None), Sum(Scale(4), None)),
    "even kernel": lambda: Sum(
        nn.Conv2d(4, 4, 4, padding=2), nn.Conv2d(4, 4, 2, padding=1), nn.Conv2d(4, 4, 2, padding=1)
    ),
    "same padding": lambda: Sum(nn.Conv2d(4, 4, 3, padding="same", dilation=2), None),
    "identity and 1x1": lambda: Sum(nn.Conv2d(4, 4, 1), None),
}


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("dynamic", [False, True])
def test_block_becomes_one_convolution(name, dynamic):
    _merges(BLOCKS[name](), _image(batch=1) if dynamic else _image(), dynamic=dynamic)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_diverse_branch_block(stride, groups):
    before = (FoldConstants(), RemoveNoOps())
    _merges(diverse(4, 4, stride, groups), _image(), before=before)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_continued_borders_share_one_padding(mode):
    checked = _check(asymmetric(4, 3, 1, padding_mode=mode))
    assert checked.ops == ["pad", "conv2d"]
    pad = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "pad")
    assert pad.args[1:] == ([1, 1, 1, 1], mode)


def test_same_padding_of_an_even_kernel_is_wider_behind():
    checked = _check(Sum(nn.Conv2d(4, 4, (2, 4), padding="same"), None))
    assert checked.ops == ["pad", "conv2d"]
    pad = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "pad")
    assert pad.args[1] == [1, 2, 0, 1]


def test_dilation_and_kernel_are_the_smallest_that_hold_every_tap():
    node = _merges(Sum(nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 1), None))
    assert (list(node.args[1].meta["val"].shape), node.args[5]) == ([4, 4, 3, 3], [2, 2])


def test_groups_survive():
    node = _merges(mobileone(6, 3), _image(6))
    assert node.args[6] == 3
    assert list(node.args[1].meta["val"].shape) == [6, 2, 3, 3]


def test_one_dimension_three_dimensions_and_matrices():
    line = Sum(nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4), None)
    volume = Sum(nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 1), nn.BatchNorm3d(4))
    matrix = Sum(nn.Linear(4, 4), nn.BatchNorm1d(4), None)
    assert _check(line, torch.randn(2, 4, 9)).ops == ["conv1d"]
    assert _check(volume, torch.randn(2, 4, 5, 6, 7)).ops == ["conv3d"]
    assert _check(matrix, torch.randn(3, 4)).ops == ["linear"]


class _Function(nn.Module):
    """Two layers and a formula over them."""

    def __init__(self, formula, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.formula = formula

    def forward(self, x):
        return self.formula(x, *self.layers)


def test_differences_and_factors():
    conv, other = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
    _merges(_Function(lambda x, f, g: torch.add(f(x), g(x), alpha=-3) - x, conv, other))
    _merges(_Function(lambda x, f, g: torch.rsub(f(x), g(x) / 4), conv, other))
    _merges(_Function(lambda x, f: f(x) + f(x), conv))


def test_branches_among_other_summands_are_merged_alone():
    """relu(g(x)) has another source: only the two branches of x fall together."""

    def formula(x, f, g, h):
        return f(x) + torch.relu(g(x)) + h(x)

    layers = (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
    checked = _check(_Function(formula, *layers))
    assert sorted(checked.ops) == ["add", "conv2d", "conv2d", "relu"]


def test_figures_of_a_partial_sum_count_the_additions_that_go():
    """Three summands, two of one source: two additions become one."""

    def formula(x, f, g, h):
        return f(x) + torch.relu(g(x)) + h(x)

    layers = [nn.Conv2d(4, 4, 1, bias=False) for _ in range(3)]
    (taken,) = _check(_Function(formula, *layers), _image(4, 5, 6, 1)).result.decisions
    image, weight = 4 * 30, 16
    assert taken.before.bytes == 4 * (2 * (2 * image + weight) + 3 * image)
    assert taken.after.bytes == 4 * (2 * image + weight)


def test_subtracted_summand_of_another_source_keeps_its_sign():
    def formula(x, f, g, h):
        return f(x) - 2 * torch.relu(g(x)) - h(x)

    layers = (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
    assert _check(_Function(formula, *layers)).ops.count("conv2d") == 2


def test_value_read_elsewhere_stays_and_is_not_counted_as_saved():
    def formula(x, f, g):
        y = f(x)
        return y + g(x), torch.relu(y)

    checked = _check(_Function(formula, nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)))
    # Both convolutions and the sum against one more 3x3: the 3x3 that stays is no saving.
    assert checked.ops == ["conv2d", "conv2d", "add", "relu"]
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert decision.after.macs > decision.before.macs


def test_shared_convolution_is_left_to_its_other_place():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    checked = _check(_Function(lambda x, f: f(torch.relu(f(x) + x)), conv))
    assert checked.ops == ["conv2d", "relu", "conv2d"]


def test_block_called_twice_is_stored_once():
    block = repvgg(4, 4)
    checked = _check(_Function(lambda x, f: f(torch.relu(f(x))), block))
    assert checked.ops == ["conv2d", "relu", "conv2d"]
    assert sum(p.numel() for p in checked.graph_module.parameters()) == 4 * 4 * 9 + 4


def test_crops_and_strides_written_as_slices():
    square, point = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1)
    _merges(_Function(lambda x, f, g: f(x) + g(x[:, :, 1:-1, 1:-1]), square, point))
    _merges(_Function(lambda x, f, g: f(x) + g(x)[:, :, 1:-1, 1:-1], square, point))
    strided = nn.Conv2d(4, 4, 3, stride=2, padding=1)
    _merges(_Function(lambda x, f, g: f(x) + g(x[:, :, ::2, ::2]), strided, point))
    _merges(_Function(lambda x, f, g: f(x) + g(x)[:, :, :, ::2][:, :, ::2], strided, point))


@pytest.mark.parametrize("padding", [0, 1, 2, "valid", "same"])
@pytest.mark.parametrize("size", [3, 5])
def test_converted_convolution_comes_back(size, padding):
    """Training blocks of any padding end as the plain convolution they came from."""
    plain = nn.Sequential(nn.Conv2d(4, 6, size, padding=padding), nn.BatchNorm2d(6), nn.ReLU())
    randomize_batch_norm(plain)
    module = acb_convert(plain.eval())
    randomize_batch_norm(module)
    before = (CanonicalOperators(), RemoveNoOps(), FoldConstants())
    checked = check_pass(MergeLinearBranches(), module, _image(), before=before)
    assert checked.ops == ["conv2d", "relu"]
    assert sum(p.numel() for p in checked.graph_module.parameters()) == 4 * 6 * size**2 + 6


KEPT = {
    "bottleneck": lambda: nn.Sequential(nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)),
    "inverted residual": lambda: Sum(
        nn.Sequential(nn.Conv2d(8, 48, 1), nn.ReLU6(), nn.Conv2d(48, 8, 1)), None
    ),
    "sandglass": lambda: nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
    ),
    "depthwise and pointwise": lambda: nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
    ),
    "thin kernels": lambda: nn.Sequential(nn.Conv2d(8, 8, (1, 3)), nn.Conv2d(8, 8, (3, 1))),
    "pool and pointwise": lambda: Sum(nn.AvgPool2d(3, 1, 1), nn.Conv2d(8, 8, 1)),
}


@pytest.mark.parametrize("name", KEPT)
def test_cheaper_as_it_is(name):
    checked = _check(KEPT[name](), _image(8))
    assert not checked.result.modified
    for decision in checked.result.decisions:
        after, before = decision.after, decision.before
        assert after.macs > before.macs or after.bytes > before.bytes
        assert decision.reason


def test_figures_of_a_decision():
    """8 channels at 6x7: 3x3 and 1x1 and identity, against one 3x3, in float32."""
    module = Sum(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 1, bias=False), None)
    (decision,) = _check(module, _image(8, 6, 7, batch=1)).result.decisions
    image, square, point = 8 * 42, 8 * 8 * 9, 8 * 8
    assert decision.before.macs == 42 * (square + point)
    assert decision.after.macs == 42 * square
    two_additions = 2 * 3 * image
    assert decision.before.bytes == 4 * (4 * image + square + point + two_additions)
    assert decision.after.bytes == 4 * (2 * image + square)


def test_fewer_multiply_accumulates_do_not_pay_for_more_bytes():
    """A reduction to 2 channels, then one kernel over the whole map: merged, 4 times its weight."""
    module = nn.Sequential(nn.Conv2d(8, 2, 1, bias=False), nn.Conv2d(2, 1, (12, 13), bias=False))
    checked = _check(module, _image(8, 12, 13, 1))
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert decision.after.macs < decision.before.macs
    assert decision.after.bytes > decision.before.bytes


def test_reduction_by_composition_is_taken():
    """1x1 after 1x1 of equal width: half the multiply-accumulates."""
    assert _check(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1))).ops == ["conv2d"]


def _padded_twice(*first: int) -> nn.Module:
    """Zero padding, a kernel, zero padding again, a kernel; without bias."""
    kernel = nn.Conv2d(4, 4, 2, bias=False)
    return Sum(
        nn.Sequential(nn.ZeroPad2d(first), kernel, nn.Conv2d(4, 4, 3, padding=1, bias=False)), None
    )


BORDERED = (
    (
        "a zero border would have to carry the bias",
        lambda: Sum(
            nn.Sequential(nn.Conv2d(4, 4, 1, bias=True), nn.Conv2d(4, 4, 3, padding=1)), None
        ),
    ),
    ("a zero border lies between two kernels", lambda: _padded_twice(0, 1, 0, 1)),
    ("a zero border lies between two kernels", lambda: _padded_twice(1, 0, 1, 0)),
    (
        "a reflect border lies between two kernels",
        lambda: Sum(
            nn.Sequential(
                nn.Conv2d(4, 4, 3, padding=1),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
            ),
            None,
        ),
    ),
    (
        "borders",
        lambda: Sum(
            nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        ),
    ),
)


@pytest.mark.parametrize(("reason", "make"), BORDERED)
def test_refusal_names_the_border(reason, make):
    checked = _check(make())
    assert any(reason in each for each in checked.reasons)


def test_refusal_names_unequal_strides():
    """Five rows give three either way: three positions of a kernel, or every second row."""
    module = Sum(nn.Conv2d(4, 4, (3, 1)), nn.Conv2d(4, 4, 1, stride=(2, 1)))
    checked = _check(module, _image(4, 5, 8))
    assert any("stride by" in reason for reason in checked.reasons)


def test_pool_that_does_not_count_its_padding_ends_the_region():
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(3, 1, 1, count_include_pad=False))
    assert not _check(module).result.modified


def test_windows_of_a_ceiled_pool_end_the_region():
    """Its last windows reach beyond the map and average what they hold."""
    strided = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 2, stride=2))
    module = Sum(strided, nn.AvgPool2d(2, 2, ceil_mode=True))
    assert not _check(module, _image(4, 5, 7)).result.modified


def test_common_crop_stays_in_front_of_the_merged_kernel():
    branches = (nn.Sequential(nn.ZeroPad2d(-1), nn.Conv2d(4, 4, 1)) for _ in range(2))
    assert _check(Sum(*branches)).ops == ["pad", "conv2d"]


def test_inner_zero_border_is_exact_where_the_inner_kernel_is_thin():
    """A row kernel has nothing above and below: a column kernel may pad there with zeros."""
    module = Sum(
        nn.Sequential(
            nn.Conv2d(4, 4, (1, 3), padding=(0, 1), bias=False),
            nn.Conv2d(4, 4, (3, 1), padding=(1, 0), bias=False),
        ),
        nn.Conv2d(4, 4, 3, padding=1),
    )
    _merges(module)


def test_strided_inner_operators():
    """A strided 1x1 continues its source by zeros, and so does a pool that divides the size."""
    point = nn.Conv2d(4, 4, 1, stride=2, bias=False)
    module = Sum(
        nn.Sequential(point, nn.Conv2d(4, 4, 3, padding=1)),
        nn.Conv2d(4, 4, 5, stride=2, padding=2),
    )
    node = _merges(module, _image(4, 12, 9))
    assert node.args[3] == [2, 2]
    pooled = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1))
    _merges(Sum(pooled, nn.Conv2d(4, 4, 2, stride=2)), _image(4, 12, 10))


def test_weights_that_are_not_finite_are_never_spread_by_a_merge():
    """As a product with zero in a wider kernel, infinity would spoil channels it never reached."""
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)).double()
    with torch.no_grad():
        module.branches[0].weight[0] = float("inf")
    graph_module = graph_of(module, _image().double())
    result = MergeLinearBranches()(graph_module)
    assert not result.modified
    assert any("not finite" in refusal.reason for refusal in result.refusals)


def test_training_statistics_end_a_region():
    module = Sum(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4, track_running_stats=False))
    assert not _check(module).result.modified


def test_written_memory_is_left_alone():
    def formula(x, f, g):
        y = f(x)
        z = y + g(x)
        y.mul_(2)
        return z, y

    checked = _check(_Function(formula, nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)))
    assert not checked.result.modified


def test_weights_computed_in_the_graph_end_a_region():
    def formula(x, f):
        return F.conv2d(x, f.weight * x.mean()) + x

    assert not _check(_Function(formula, nn.Conv2d(4, 4, 1))).result.modified


def test_bordered_norm_alone_stays_correct():
    _check(nn.Sequential(nn.Conv2d(4, 4, 1), BorderedNorm(4, 1)), before=(FoldConstants(),))


@HYPOTHESIS
@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_random_regions_stay_equal(seed):
    check_pass(MergeLinearBranches(), *random_region(seed))


def test_random_regions_do_merge():
    checked = (check_pass(MergeLinearBranches(), *random_region(seed)) for seed in range(20))
    assert sum(each.result.modified for each in checked) >= 10


@pytest.mark.parametrize(
    ("kernel", "stride", "pad"), list(itertools.product([1, 2, 3, 4], [1, 2, 3], [0, 1, 2]))
)
def test_every_geometry_of_a_branch_and_its_double(kernel, stride, pad):
    if pad > kernel:
        return
    module = Sum(*(nn.Conv2d(4, 4, kernel, stride, pad) for _ in range(2)))
    node = _merges(module)
    assert list(node.args[1].meta["val"].shape[2:]) == [kernel, kernel]
