"""CarrySplit: what it carries in parts, what it leaves alone, and random stages as a whole."""

import pytest
import torch
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import randomize_batch_norm
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.cost import measure
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.passes.partial_shortcuts import carry_split
from cnn_export.reparam.passes.partial_shortcuts.canonical_partial_shortcuts import (
    CanonicalPartialShortcuts,
)
from cnn_export.reparam.passes.partial_shortcuts.carry_split import CarrySplit
from cnn_export.reparam.proof.comparison import relative_error
from cnn_export.targets import legalizations

SEAMS = {"slice", "cat"}
RELUS = (nn.ReLU6, nn.ReLU, nn.Hardswish, lambda: nn.Hardtanh(-1.0, 2.0), lambda: nn.PReLU(1))


class _SandGlass(nn.Module):
    """depthwise → reduce → expand → depthwise, and the first ``kept`` channels of a shortcut."""

    def __init__(self, channels, hidden, kept, activation=nn.ReLU6, norm=False):
        super().__init__()
        normal = nn.BatchNorm2d if norm else lambda _: nn.Identity()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=not norm)
        self.body = nn.Sequential(
            normal(channels),
            activation(),
            nn.Conv2d(channels, hidden, 1, bias=not norm),
            normal(hidden),
            nn.Conv2d(hidden, channels, 1, bias=not norm),
            normal(channels),
            activation(),
            nn.Conv2d(channels, channels, (3, 5), padding=(1, 2), groups=channels, bias=False),
            normal(channels),
        )
        self.kept = kept

    def forward(self, x):
        y = self.body(self.first(x))
        return torch.cat([y[:, : self.kept] + x[:, : self.kept], y[:, self.kept :]], 1)


def _stage(*blocks, channels=12, head=None):
    torch.manual_seed(7)
    head = head or nn.Conv2d(channels, 4, 1)
    return nn.Sequential(nn.Conv2d(3, channels, 3, stride=2), *blocks, head)


@pytest.fixture(autouse=True)
def _free_operators(monkeypatch):
    """Small test images must not be refused for the operators added."""
    monkeypatch.setattr(carry_split, "OPERATOR_BYTES", 0)


@pytest.fixture
def _at_any_price(monkeypatch):
    """Carry whatever can be carried."""
    monkeypatch.setattr(carry_split, "_cost", lambda cost: cost.seams)


def _carried(module, image, *, dynamic=False, before=()):
    checked = check_pass(CarrySplit(), module, image, dynamic=dynamic, before=before)
    assert checked.result.modified
    assert all(each.taken for each in checked.result.decisions)
    return checked


IMAGE = torch.randn(2, 3, 13, 18)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("activation", RELUS)
def test_stage_has_no_slice_and_no_concatenation_left(activation, dynamic):
    blocks = [_SandGlass(12, 4, 6, activation) for _ in range(2)]
    checked = _carried(_stage(*blocks), IMAGE, dynamic=dynamic)
    assert not SEAMS & set(checked.ops)
    # Stem 2; each block 2·2 depthwise, 2 reducing, 2 expanding; head 2.
    assert checked.ops.count("conv2d") == 2 + 2 * 8 + 2
    # Each block adds the sum of its reducing convolution and the shortcut's one part.
    assert checked.ops.count("add") == 2 * 2 + 1


def test_arithmetic_and_weights_stay_and_bytes_fall():
    module = _stage(_SandGlass(12, 4, 5), _SandGlass(12, 4, 5))
    before = measure(graph_of(module.double(), IMAGE.double()))
    checked = _carried(module, IMAGE)
    after = measure(checked.graph_module)
    assert (after.macs, after.parameters) == (before.macs, before.parameters)
    (decision,) = checked.result.decisions
    assert decision.after.macs == decision.before.macs
    # Before: slices of y (2 · 12), of x (5 · 2), cat (2 · 12); after: the sums of 4 channels,
    # 1 write and 3 moves each, and second readings of 3-channel stem and 4-channel hidden maps.
    pixels = 6 * 8
    saved = 2 * (2 * 12 + 2 * 5 + 2 * 12) * pixels
    sums, readings = 3 * 4 * 4 * pixels, (3 * 13 * 18) + 2 * 4 * pixels
    assert decision.before.bytes - decision.after.bytes == 4 * (saved - sums - readings)


@pytest.mark.usefixtures("_at_any_price")
def test_different_ranges_in_one_stage_are_carried_in_three_parts():
    module = _stage(_SandGlass(12, 4, 3), _SandGlass(12, 3, 8))
    checked = _carried(module, IMAGE)
    assert not SEAMS & set(checked.ops)
    sizes = {
        node.meta["val"].shape[1]
        for node in checked.graph_module.graph.nodes
        if "hardtanh" in str(node.target)
    }
    assert sizes == {3, 5, 4}


class _Squeeze(nn.Module):
    """SqueezeNet's fire module: two convolutions, concatenated."""

    def __init__(self):
        super().__init__()
        self.squeeze = nn.Conv2d(3, 4, 1)
        self.left, self.right = nn.Conv2d(4, 6, 1), nn.Conv2d(4, 7, 3, padding=1)
        self.last = nn.Conv2d(13, 2, 3)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        x = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], 1)
        return self.last(F.max_pool2d(x, 2))


def test_concatenation_of_two_convolutions():
    checked = _carried(_Squeeze(), IMAGE)
    assert "cat" not in checked.ops
    assert checked.ops.count("max_pool2d") == 2


class _Gated(nn.Module):
    """Squeeze and excitation, a normalization and per-channel constants on a carried tensor."""

    def __init__(self):
        super().__init__()
        self.block = _SandGlass(12, 4, 6)
        self.stem = nn.Conv2d(3, 12, 1)
        self.norm = nn.BatchNorm2d(12)
        self.slope = nn.PReLU(12)
        nn.init.uniform_(self.slope.weight, 0.1, 0.9)
        self.reduce, self.expand = nn.Conv2d(12, 3, 1), nn.Conv2d(3, 12, 1)
        self.scale = nn.Parameter(torch.randn(12, 1, 1))
        self.last = nn.Conv2d(12, 2, 1)
        randomize_batch_norm(self)

    def forward(self, x):
        x = self.slope(self.norm(self.block(self.stem(x)))) * self.scale
        gate = F.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        x = x * torch.sigmoid(self.expand(gate))
        return self.last(F.interpolate(F.pad(x, (1, 0, 2, 1)), scale_factor=2.0))


@pytest.mark.usefixtures("_at_any_price")
def test_gates_constants_and_resizing_are_carried():
    checked = _carried(_Gated(), IMAGE)
    assert not SEAMS & set(checked.ops)
    assert checked.ops.count("batch_norm") == 2


class _Head(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True).flatten(1)


def test_only_the_pooled_vector_is_concatenated():
    checked = _carried(_stage(_SandGlass(12, 4, 6), head=_Head()), IMAGE)
    (cat,) = [n for n in checked.graph_module.graph.nodes if "aten.cat" in str(n.target)]
    assert tuple(cat.meta["val"].shape) == (2, 12, 1, 1)


def test_a_reader_of_the_whole_gets_one_concatenation():
    class Reader(nn.Module):
        def forward(self, x):
            return torch.softmax(x, 1), F.conv2d(x, torch.ones(12, 6, 1, 1).to(x), groups=2)

    blocks = [_SandGlass(12, 4, 6) for _ in range(3)]
    checked = _carried(_stage(*blocks, head=Reader()), IMAGE)
    assert checked.ops.count("cat") == 1
    assert "slice" not in checked.ops


class _Ghost(nn.Module):
    """GhostNet: the second half of the channels is computed from the first."""

    def __init__(self):
        super().__init__()
        self.primary = nn.Conv2d(3, 6, 1)
        self.cheap = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, x):
        x = F.relu(self.primary(x))
        return self.last(torch.cat([x, F.relu(self.cheap(x))], 1))


def test_one_tensor_at_two_places_of_a_concatenation():
    checked = _carried(_Ghost(), IMAGE)
    assert "cat" not in checked.ops


class _Halves(nn.Module):
    """A slice that a convolution reads, and halves that change places."""

    def __init__(self):
        super().__init__()
        self.stem, self.side = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 2, 1)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.stem(x)
        left, right = x[:, :4], x[:, 4:]
        return self.side(left), self.last(F.relu(torch.cat([right, left], 1)))


def test_halves_change_places():
    checked = _carried(_Halves(), IMAGE)
    assert not SEAMS & set(checked.ops)


class _Sliced(nn.Module):
    def forward(self, x):
        x = F.relu(x)
        return F.conv2d(torch.cat([x[:, :1] * 2, x[:, 1:]], 1), torch.ones(2, 3, 1, 1).to(x))


def test_leaves_what_would_be_sliced_at_run_time():
    checked = check_pass(CarrySplit(), _Sliced(), IMAGE)
    assert not checked.result.modified
    (decision,) = checked.result.decisions
    assert (
        decision.reason == "x (placeholder) would still be sliced at run time into 1 + 2 channels"
    )
    assert decision.before == decision.after


def test_refuses_memory_that_is_written_to():
    class Written(_Squeeze):
        def forward(self, x):
            y = self.left(self.squeeze(x))
            z = torch.cat([y, self.right(self.squeeze(x))], 1)
            y.mul_(2)
            return self.last(z), y

    checked = check_pass(CarrySplit(), Written(), IMAGE)
    assert not checked.result.modified
    assert "is written to in place" in checked.reasons[0]


class _Wide(nn.Module):
    """A concatenation of a few channels, read by a convolution to very many."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
        self.last = nn.Conv2d(4, 64, 1)

    def forward(self, x):
        return self.last(torch.cat([self.left(x), self.right(x)], 1))


def test_leaves_what_costs_more_in_parts_and_says_why():
    checked = check_pass(CarrySplit(), _Wide(), IMAGE)
    assert not checked.result.modified
    (decision,) = checked.result.decisions
    assert not decision.taken
    assert "bytes instead of" in decision.reason


def test_operators_have_a_price(monkeypatch):
    monkeypatch.setattr(carry_split, "OPERATOR_BYTES", 10**9)
    checked = check_pass(CarrySplit(), _stage(_SandGlass(12, 4, 6)), IMAGE)
    assert not checked.result.modified
    before = len(checked.ops)
    monkeypatch.setattr(carry_split, "OPERATOR_BYTES", 0)
    after = len(_carried(_stage(_SandGlass(12, 4, 6)), IMAGE).ops)
    reason = checked.result.decisions[0].reason
    assert reason.endswith(f"in {after} operators instead of {before}")


def test_a_concatenation_that_must_stay_is_no_decision():
    class Outputs(_Wide):
        def forward(self, x):
            return torch.cat([self.left(x), self.right(x)], 1)

    checked = check_pass(CarrySplit(), Outputs(), IMAGE)
    assert (checked.result.refusals, checked.result.decisions) == ((), ())


@st.composite
def _stages(draw):
    channels = draw(st.integers(2, 13))
    torch.manual_seed(draw(st.integers(0, 2**20)))
    blocks = []
    for _ in range(draw(st.integers(1, 3))):
        kept = draw(st.integers(1, channels))
        hidden = draw(st.integers(1, 4))
        blocks.append(_SandGlass(channels, hidden, kept, draw(st.sampled_from(RELUS)), norm=True))
        if draw(st.booleans()):
            stride = draw(st.sampled_from([1, 2]))
            blocks.append(nn.Conv2d(channels, channels, 3, stride, 1, groups=channels))
        if draw(st.integers(0, 3)) == 0:
            wider = draw(st.integers(2, 13))
            blocks.append(nn.Conv2d(channels, wider, draw(st.sampled_from([1, 3])), padding=1))
            channels = wider
    stem, head = nn.Conv2d(3, blocks[0].first.in_channels, 3, 2), nn.Conv2d(channels, 4, 1)
    module = nn.Sequential(stem, *blocks, draw(st.sampled_from([head, _Head(), nn.Softmax(1)])))
    randomize_batch_norm(module)
    size = draw(st.tuples(st.integers(5, 17), st.integers(5, 17)))
    return (
        module.double().eval(),
        torch.randn(1, 3, *size, dtype=torch.float64),
        draw(st.booleans()),
    )


@pytest.mark.usefixtures("_at_any_price")
@settings(max_examples=examples(20))
@given(_stages())
def test_random_stages_through_all_passes(drawn):
    module, image, dynamic = drawn
    graph_module = graph_of(module, image, dynamic=dynamic)
    reparameterize_graph(graph_module, prove_equal=False)
    images = torch.cat([image, -image, image * 0.3]) if dynamic else image
    with torch.no_grad():
        expected = module(images)
    for legalization in (legalizations.TFLITE, legalizations.COREML):
        legalized = copied(graph_module)
        passes = [entry.program_pass for entry in legalization.passes]
        reparameterize_graph(legalized, passes, prove_equal=False)
        with torch.no_grad():
            assert relative_error((expected,), legalized(images)) <= 1e-11
        assert not {"slice", "cat"} & set(operators(legalized)[:-3])
        assert not CanonicalPartialShortcuts()(legalized).modified
