"""Merging whatever is linear between one source and one value."""

import itertools

import pytest
import torch
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_blocks import (
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
from merge_checks import Function, check, image, merges
from networks import randomize_batch_norm
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.models.parts.acb_convert import acb_convert
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.passes.branches.merge_linear_branches import MergeLinearBranches
from cnn_export.reparam.passes.canonical.canonical_operators import CanonicalOperators
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps

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
    merges(BLOCKS[name](), image(batch=1) if dynamic else image(), dynamic=dynamic)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_diverse_branch_block(stride, groups):
    before = (FoldConstants(), RemoveNoOps())
    merges(diverse(4, 4, stride, groups), image(), before=before)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_continued_borders_share_one_padding(mode):
    checked = check(asymmetric(4, 3, 1, padding_mode=mode))
    assert checked.ops == ["pad", "conv2d"]
    pad = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "pad")
    assert pad.args[1:] == ([1, 1, 1, 1], mode)


def test_same_padding_of_an_even_kernel_is_wider_behind():
    checked = check(Sum(nn.Conv2d(4, 4, (2, 4), padding="same"), None))
    assert checked.ops == ["pad", "conv2d"]
    pad = next(n for n in checked.graph_module.graph.nodes if operator_name(n) == "pad")
    assert pad.args[1] == [1, 2, 0, 1]


def test_dilation_and_kernel_are_the_smallest_that_hold_every_tap():
    node = merges(Sum(nn.Conv2d(4, 4, 3, padding=2, dilation=2), nn.Conv2d(4, 4, 1), None))
    assert (list(node.args[1].meta["val"].shape), node.args[5]) == ([4, 4, 3, 3], [2, 2])


def test_groups_survive():
    node = merges(mobileone(6, 3), image(6))
    assert node.args[6] == 3
    assert list(node.args[1].meta["val"].shape) == [6, 2, 3, 3]


def test_one_dimension_three_dimensions_and_matrices():
    line = Sum(nn.Conv1d(4, 4, 3, padding=1), nn.BatchNorm1d(4), None)
    volume = Sum(nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 1), nn.BatchNorm3d(4))
    matrix = Sum(nn.Linear(4, 4), nn.BatchNorm1d(4), None)
    assert check(line, torch.randn(2, 4, 9)).ops == ["conv1d"]
    assert check(volume, torch.randn(2, 4, 5, 6, 7)).ops == ["conv3d"]
    assert check(matrix, torch.randn(3, 4)).ops == ["linear"]


def test_differences_and_factors():
    conv, other = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
    merges(Function(lambda x, f, g: torch.add(f(x), g(x), alpha=-3) - x, conv, other))
    merges(Function(lambda x, f, g: torch.rsub(f(x), g(x) / 4), conv, other))
    merges(Function(lambda x, f: f(x) + f(x), conv))


def test_branches_among_other_summands_are_merged_alone():
    """relu(g(x)) has another source: only the two branches of x fall together."""

    def formula(x, f, g, h):
        return f(x) + torch.relu(g(x)) + h(x)

    layers = (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
    checked = check(Function(formula, *layers))
    assert sorted(checked.ops) == ["add", "conv2d", "conv2d", "relu"]


def test_subtracted_summand_of_another_source_keeps_its_sign():
    def formula(x, f, g, h):
        return f(x) - 2 * torch.relu(g(x)) - h(x)

    layers = (nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1))
    assert check(Function(formula, *layers)).ops.count("conv2d") == 2


def test_shared_convolution_is_left_to_its_other_place():
    conv = nn.Conv2d(4, 4, 3, padding=1)
    checked = check(Function(lambda x, f: f(torch.relu(f(x) + x)), conv))
    assert checked.ops == ["conv2d", "relu", "conv2d"]


def test_block_called_twice_is_stored_once():
    block = repvgg(4, 4)
    checked = check(Function(lambda x, f: f(torch.relu(f(x))), block))
    assert checked.ops == ["conv2d", "relu", "conv2d"]
    assert sum(p.numel() for p in checked.graph_module.parameters()) == 4 * 4 * 9 + 4


def test_crops_and_strides_written_as_slices():
    square, point = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1)
    merges(Function(lambda x, f, g: f(x) + g(x[:, :, 1:-1, 1:-1]), square, point))
    merges(Function(lambda x, f, g: f(x) + g(x)[:, :, 1:-1, 1:-1], square, point))
    column = nn.Conv2d(4, 4, (3, 1))
    merges(Function(lambda x, f, g: f(x) + g(x[:, :, -99:-2]), column, point))
    strided = nn.Conv2d(4, 4, 3, stride=2, padding=1)
    merges(Function(lambda x, f, g: f(x) + g(x[:, :, ::2, ::2]), strided, point))
    merges(Function(lambda x, f, g: f(x) + g(x)[:, :, :, ::2][:, :, ::2], strided, point))


@pytest.mark.parametrize("padding", [0, 1, 2, "valid", "same"])
@pytest.mark.parametrize("size", [3, 5])
def test_converted_convolution_comes_back(size, padding):
    """Training blocks of any padding end as the plain convolution they came from."""
    plain = nn.Sequential(nn.Conv2d(4, 6, size, padding=padding), nn.BatchNorm2d(6), nn.ReLU())
    randomize_batch_norm(plain)
    module = acb_convert(plain.eval())
    randomize_batch_norm(module)
    before = (CanonicalOperators(), RemoveNoOps(), FoldConstants())
    checked = check_pass(MergeLinearBranches(), module, image(), before=before)
    assert checked.ops == ["conv2d", "relu"]
    assert sum(p.numel() for p in checked.graph_module.parameters()) == 4 * 6 * size**2 + 6


@settings(max_examples=examples(60))
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
    node = merges(module)
    assert list(node.args[1].meta["val"].shape[2:]) == [kernel, kernel]


_CUT = {
    "behind": ({"padding": 1}, lambda x, f: f(x)[:, :, 3:, 2:-1], ["slice", "slice", "pad"]),
    "unread": ({"stride": 2}, lambda x, f: f(F.pad(x, (2, 0, 2, 0))), ["pad"]),
}


@pytest.mark.parametrize("case", _CUT)
def test_what_is_cut_is_a_slice(case):
    """Never a negative pad, which ExecuTorch and Core ML refuse."""
    arguments, formula, expected = _CUT[case]
    checked = check(Function(formula, nn.Conv2d(4, 6, 3, **arguments)), image(4))
    assert [name for name in checked.ops if name != "conv2d"] == expected
    pads = [
        n for n in checked.graph_module.graph.nodes if n.op == "call_function" and "pad" in n.name
    ]
    assert all(min(node.args[1]) >= 0 for node in pads)
