"""MaskPartialShortcuts: masked whole sums, in chains, and its refusals."""

import pytest
import torch
from pass_checks import check_pass, graph_of, operators
from torch import nn

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.passes.partial_shortcuts.canonical_partial_shortcuts import (
    CanonicalPartialShortcuts,
)
from cnn_export.reparam.passes.partial_shortcuts.mask_partial_shortcuts import MaskPartialShortcuts
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices
from cnn_export.targets import legalizations

IMAGE = torch.randn(2, 6, 5, 7)


class _Sum(nn.Module):
    """``y`` and the sum of some channels of what ``added`` returns, from channel ``start``."""

    def __init__(self, start, stop, added=lambda x, y: x):
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.start, self.stop, self.added = start, stop, added

    def forward(self, x):
        y, kept = self.conv(x), slice(self.start, self.stop)
        total = y[:, kept] + self.added(x, y)[:, kept]
        return torch.cat([y[:, : self.start], total, y[:, self.stop :]], 1)


def _masks(checked):
    module = checked.graph_module
    return [m.flatten().tolist() for name, m in module.named_parameters() if "mask" in name]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("start", "stop"), [(0, 3), (3, 6), (2, 5)])
def test_covered_channels_are_masked(start, stop, dynamic):
    checked = check_pass(MaskPartialShortcuts(), _Sum(start, stop), IMAGE, dynamic=dynamic)
    assert checked.ops == ["conv2d", "mul", "add"]
    assert _masks(checked) == [[float(start <= channel < stop) for channel in range(6)]]


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 9), (1, 6, 3, 2, 4)])
def test_any_rank(shape):
    class Sum(nn.Module):
        def forward(self, x):
            y = torch.tanh(x)
            return torch.cat([y[:, :2] + x[:, :2], y[:, 2:]], 1)

    assert check_pass(MaskPartialShortcuts(), Sum(), torch.randn(shape)).ops == [
        "tanh",
        "mul",
        "add",
    ]


class _Chain(nn.Module):
    """Three blocks in a row."""

    def __init__(self, kept=(3, 3, 3)):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in kept)
        self.kept = kept

    def forward(self, x):
        for block, kept in zip(self.blocks, self.kept, strict=True):
            y = torch.relu(block(x))
            x = torch.cat([y[:, :kept] + x[:, :kept], y[:, kept:]], 1)
        return x


def test_blocks_that_pass_on_a_part_of_the_sum_read_the_whole():
    """SimplifySlices lets the second block read the first one's sum itself, not a slice."""
    before = (SimplifySlices(), CanonicalPartialShortcuts())
    checked = check_pass(MaskPartialShortcuts(), _Chain(), IMAGE, before=before)
    assert checked.ops == ["conv2d", "relu", "mul", "add"] * 3
    assert _masks(checked) == [[1.0] * 3 + [0.0] * 3] * 3


@pytest.mark.parametrize("legalization", [legalizations.ONNX, legalizations.COREML])
def test_a_part_of_a_part_is_read_in_the_legalizations(legalization):
    graph_module = graph_of(_Chain((4, 4, 2)), IMAGE)
    reparameterize_graph(graph_module)
    report = reparameterize_graph(
        graph_module, [entry.program_pass for entry in legalization.passes]
    )
    assert operators(graph_module) == ["conv2d", "relu", "mul", "add"] * 3
    assert 0 < report.proof.probes <= 3


def test_two_ranges_of_one_tensor_share_a_mask_and_two_tensors_do_not():
    class Sum(nn.Module):
        def __init__(self, other):
            super().__init__()
            self.other = other

        def forward(self, x):
            y, z = torch.tanh(x), torch.sigmoid(x)
            last = z if self.other else x
            return torch.cat([y[:, :1] + x[:, :1], y[:, 1:4], y[:, 4:] + last[:, 4:]], 1)

    one = check_pass(MaskPartialShortcuts(), Sum(other=False), IMAGE)
    assert _masks(one) == [[1, 0, 0, 0, 1, 1]]
    two = check_pass(MaskPartialShortcuts(), Sum(other=True), IMAGE)
    assert _masks(two) == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]]


def test_readers_of_the_sum_before_and_after_keep_their_values():
    class Sum(nn.Module):
        def forward(self, x):
            y = torch.tanh(x)
            total = y[:, :2] + x[:, :2]
            early = torch.sigmoid(total)
            whole = torch.cat([total, y[:, 2:]], 1)
            return early, whole, torch.sin(total)

    check_pass(MaskPartialShortcuts(), Sum(), IMAGE)


def test_later_readers_get_the_part_that_the_sum_was():
    class Sum(nn.Module):
        def forward(self, x):
            y = torch.tanh(x)
            middle, last = y[:, 1:3] + x[:, 1:3], y[:, 3:] + x[:, 3:]
            whole = torch.cat([y[:, :1], middle, last], 1)
            return whole, torch.sin(middle), torch.cos(last)

    checked = check_pass(MaskPartialShortcuts(), Sum(), IMAGE)
    assert checked.ops == ["tanh", "mul", "add", "slice", "sin", "slice", "cos"]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_Sum(0, 3, lambda x, y: torch.tanh(x[:, :4])), "tanh is not of the sum's shape"),
        (
            _Sum(2, 5, lambda x, y: torch.cat([y, x], 1)[:, 3:9]),
            "channel 5 of cat is added to channel 2",
        ),
    ],
)
def test_channels_that_move_or_do_not_exist(module, reason):
    checked = check_pass(MaskPartialShortcuts(), module, IMAGE, before=(SimplifySlices(),))
    assert not checked.result.modified
    assert checked.reasons == [reason]


def test_written_memory_is_left_alone():
    class Written(nn.Module):
        def forward(self, x):
            y = torch.tanh(x)
            total = torch.cat([y[:, :2] + x[:, :2], y[:, 2:]], 1)
            total.mul_(2)
            return total

    checked = check_pass(MaskPartialShortcuts(), Written(), IMAGE)
    assert not checked.result.modified
    assert checked.reasons == ["cat is written to in place"]


def test_large_maps_are_left_alone():
    bytes_of_one_image = 4 * 6 * 5 * 7
    at_most = check_pass(MaskPartialShortcuts(bytes_of_one_image), _Sum(0, 3), IMAGE)
    assert at_most.result.modified
    above = check_pass(MaskPartialShortcuts(bytes_of_one_image - 1), _Sum(0, 3), IMAGE)
    assert above.reasons == ["the mask would move 840 bytes once more; at most 839 are cheap"]
