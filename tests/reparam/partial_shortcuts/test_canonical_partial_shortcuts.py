"""CanonicalPartialShortcuts: every spelling, and what only looks like one."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.partial_shortcuts.canonical_partial_shortcuts import (
    CanonicalPartialShortcuts,
)
from cnn_export.reparam.passes.slices.split_to_slices import SplitToSlices

CHANNELS = 7
BEFORE = (SplitToSlices(), FunctionalizeInplace(), RemoveNoOps())


class _Net(nn.Module):
    """Two branches of one input, put together by ``merge(y, x)``."""

    def __init__(self, merge):
        super().__init__()
        self.left = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.right = nn.Conv2d(3, CHANNELS, 1)
        self.merge = merge

    def forward(self, image):
        return self.merge(self.left(image), self.right(image))


def _cat(*parts):
    return torch.cat(parts, 1)


def _split(y, x):
    first, rest = y.split([3, 4], 1)
    return _cat(first + x.narrow(1, 0, 3), rest)


def _chunks(y, x):
    # Parts of 4 and 3 channels.
    return _cat(y.chunk(2, 1)[0] + x.chunk(2, dim=-3)[0], y[:, 4:])


def _scatter(y, x):
    return torch.slice_scatter(y, x[:, :3] + y[:, :3], 1, 0, 3)


def _scatter_from_the_end(y, x):
    return y.slice_scatter(y[:, -2:] + x[:, -2:], dim=-3, start=-2)


def _new_zeros(y, x):
    return y + _cat(x[:, :3], x.new_zeros(x.shape[0], 4, x.shape[2], x.shape[3]))


def _full_of_zero(y, x):
    return y + _cat(x[:, :3], torch.full_like(x[:, 3:], 0.0))


FIRST = ["add", "slice"]
SPELLINGS = {
    "cat, y first": (lambda y, x: _cat(y[:, :3] + x[:, :3], y[:, 3:]), FIRST),
    "cat, x first": (lambda y, x: _cat(x[:, :3] + y[:, :3], y[:, 3:]), FIRST),
    "pad": (lambda y, x: y + F.pad(x[:, :3], (0, 0, 0, 0, 0, 4)), FIRST),
    "pad first": (lambda y, x: F.pad(x[:, :3], (0, 0, 0, 0, 0, 4)) + y, FIRST),
    "pad of a batch": (lambda y, x: y + F.pad(x[:, :3], (0, 0, 0, 0, 0, 4, 0, 0)), FIRST),
    "zeros like": (lambda y, x: y + _cat(x[:, :3], torch.zeros_like(x[:, 3:])), FIRST),
    "new zeros": (_new_zeros, FIRST),
    "full of zero": (_full_of_zero, FIRST),
    "split": (_split, FIRST),
    "chunk": (_chunks, FIRST),
    "slice scatter": (_scatter, FIRST),
    "at the end": (lambda y, x: _cat(y[:, :4], y[:, 4:] + x[:, 4:]), ["slice", "add"]),
    "scatter at the end": (_scatter_from_the_end, ["slice", "add"]),
    "pad in front": (lambda y, x: y + F.pad(x[:, 4:], (0, 0, 0, 0, 4, 0)), ["slice", "add"]),
    "other channels": (lambda y, x: y + F.pad(x[:, 4:], (0, 0, 0, 0, 0, 4)), FIRST),
    "middle": (
        lambda y, x: _cat(y[:, :2], x[:, 2:5] + y[:, 2:5], y[:, 5:]),
        ["slice", "add", "slice"],
    ),
    "pad around": (
        lambda y, x: y + F.pad(x[:, 1:4], (0, 0, 0, 0, 1, 3)),
        ["slice", "add", "slice"],
    ),
    "two ranges": (
        lambda y, x: _cat(y[:, :2] + x[:, :2], y[:, 2:5], y[:, 5:] + x[:, 1:3]),
        ["add", "slice", "add"],
    ),
    "two neighbours": (
        lambda y, x: _cat(y[:, :2] + x[:, :2], y[:, 2:4] + x[:, 2:4], y[:, 4:]),
        ["add", "slice"],
    ),
}  # fmt: skip


def _canonical_parts(checked):
    """Return the operators of the parts of the one concatenation."""
    cat = checked.graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.cat.default
    )
    assert len(cat) == 1
    for part in cat[0].args[0]:
        if part.target is torch.ops.aten.add.Tensor:
            own, other = part.args
            assert own.args[0].name == "conv2d"
            assert other.args[0].name == "conv2d_1"
    return [str(part.target).split(".")[1] for part in cat[0].args[0]]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", SPELLINGS)
def test_spelling_becomes_canonical(case, dynamic):
    merge, parts = SPELLINGS[case]
    torch.manual_seed(3)
    image = torch.randn(2, 3, 5, 8)
    checked = check_pass(
        CanonicalPartialShortcuts(), _Net(merge), image, dynamic=dynamic, before=BEFORE
    )
    assert checked.result.refusals == ()
    assert checked.result.modified == (case not in _CANONICAL)
    assert _canonical_parts(checked) == parts
    assert not {"pad", "slice_scatter", "narrow", "split"} & set(checked.ops)


_CANONICAL = {"cat, y first", "split", "chunk", "at the end", "two ranges"}
"""Cases that are written in the canonical form already."""


def test_whole_range_becomes_a_plain_sum():
    def merge(y, x):
        return _cat(y[:, :3] + x[:, :3], y[:, 3:] + x[:, 3:])

    checked = check_pass(
        CanonicalPartialShortcuts(), _Net(merge), torch.randn(1, 3, 5, 4), before=BEFORE
    )
    assert checked.ops == ["conv2d", "conv2d", "add"]


def test_a_narrow_tensor_is_padded_without_a_slice():
    class Narrow(_Net):
        def forward(self, image):
            return self.left(image) + F.pad(image, (0, 0, 0, 0, 1, 3))

    checked = check_pass(
        CanonicalPartialShortcuts(), Narrow(None), torch.randn(1, 3, 5, 4), before=BEFORE
    )
    assert sorted(checked.ops) == ["add", "cat", "conv2d", "slice", "slice", "slice"]


REFUSED = {
    "pads with 1": lambda y, x: y + F.pad(x[:, :3], (0, 0, 0, 0, 0, 4), value=1.0),
    "pads other dimensions": lambda y, x: y + F.pad(x[:, :3, :, 1:], (1, 0, 0, 0, 0, 4)),
    "crops": lambda y, x: (
        y + F.pad(x[:, 3:], (0, 0, 0, 0, 4, 3))[:, :7] + F.pad(x, (0, 0, 0, 0, 2, -2))
    ),
    "scales or broadcasts": lambda y, x: torch.add(y, F.pad(x[:, :3], (0, 0, 0, 0, 0, 4)), alpha=2),
    "every 2th channel": lambda y, x: torch.slice_scatter(y, y[:, :6:2] + x[:, :3], 1, 0, 6, 2),
    "adds nothing to channels 0 to 3": lambda y, x: torch.slice_scatter(y, x[:, :3], 1, 0, 3),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses(reason):
    checked = check_pass(
        CanonicalPartialShortcuts(), _Net(REFUSED[reason]), torch.randn(2, 3, 5, 8), before=BEFORE
    )
    assert any(reason in each for each in checked.reasons), checked.reasons


def test_refuses_memory_that_is_written_to():
    class Written(_Net):
        def forward(self, image):
            y, x = self.left(image), self.right(image)
            z = y + F.pad(x[:, :3], (0, 0, 0, 0, 0, 4))
            x[:, 1:2].mul_(2)
            return z, x

    checked = check_pass(CanonicalPartialShortcuts(), Written(None), torch.randn(2, 3, 5, 8))
    assert not checked.result.modified
    assert ["is written to in place" in each for each in checked.reasons] == [True]


OTHER = {
    "another base": lambda y, x: _cat(y[:, :3] + x[:, :3], y[:, 2:6]),
    "halves swapped": lambda y, x: _cat(y[:, 3:] + x[:, 3:], y[:, :3]),
    "plain concatenation": _cat,
    "a step": lambda y, x: _cat(y[:, ::2] + x[:, ::2], y[:, 1::2]),
    "not all zeros": lambda y, x: y + _cat(x[:, :3], torch.ones_like(x[:, 3:])),
    "along the height": lambda y, x: torch.cat([y[:, :, :2] + x[:, :, :2], y[:, :, 2:]], 2),
    "along the width": lambda y, x: y + F.pad(x[..., :3], (0, 5)),
}


@pytest.mark.parametrize("case", OTHER)
def test_leaves_alone(case):
    checked = check_pass(
        CanonicalPartialShortcuts(), _Net(OTHER[case]), torch.randn(2, 3, 5, 8), before=BEFORE
    )
    assert not checked.result.modified
