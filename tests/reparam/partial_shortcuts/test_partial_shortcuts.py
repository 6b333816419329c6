"""shorten_shortcuts: every kind of identity shortcut, and everything that is none."""

from fractions import Fraction

import pytest
import torch
import torchvision
from networks import randomize_batch_norm
from pass_checks import graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.passes.partial_shortcuts.approximate_shortcuts import (
    drop_shortcuts,
    shorten_shortcuts,
)
from cnn_export.reparam.proof.comparison import relative_error

HALF = Fraction(1, 2)


class _Residual(nn.Module):
    """``f(x) + x[:, :k]`` with ``k = channels // divisor``, in one of several spellings."""

    def __init__(self, channels, divisor, spelling="cat"):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.divisor, self.spelling = divisor, spelling

    def forward(self, x):
        y = F.relu6(self.norm(self.conv(x)))
        kept = x.shape[1] // self.divisor
        rest = x.shape[1] - kept
        if self.spelling == "full":
            return x + y
        if self.spelling == "in place":
            y += x
            return y
        if self.spelling == "pad":
            return y + F.pad(x[:, :kept], (0, 0, 0, 0, 0, rest))
        return torch.cat([x[:, :kept] + y[:, :kept], y[:, kept:]], 1)


def _network(divisor, spelling="cat", channels=7):
    torch.manual_seed(5)
    layers = [nn.Conv2d(3, channels, 3)]
    layers += [_Residual(channels, divisor, spelling) for _ in range(3)]
    module = nn.Sequential(*layers)
    randomize_batch_norm(module)
    return module.double().eval()


def _error(graph_module, module, image):
    with torch.no_grad():
        return relative_error((module(image.clone()),), graph_module(image.clone()))


IMAGE = torch.randn(2, 3, 9, 6, dtype=torch.float64)


@pytest.mark.parametrize("divisor", [2, 3, 6, 7])
@pytest.mark.parametrize("spelling", ["full", "in place"])
def test_full_shortcut_becomes_partial(spelling, divisor):
    graph_module = graph_of(_network(1, spelling), IMAGE)
    changed = shorten_shortcuts(graph_module, Fraction(1, divisor))
    assert len(changed) == 3
    assert _error(graph_module, _network(divisor), IMAGE) <= 1e-12
    assert operators(graph_module).count("cat") == 3


@pytest.mark.parametrize("spelling", ["cat", "pad"])
@pytest.mark.parametrize(("old", "new"), [(2, 6), (6, 2), (3, 1)])
def test_partial_shortcut_is_resized(spelling, old, new):
    graph_module = graph_of(_network(old, spelling), IMAGE)
    changed = shorten_shortcuts(graph_module, Fraction(1, new))
    assert len(changed) == 3
    assert _error(graph_module, _network(new), IMAGE) <= 1e-12
    assert ("cat" in operators(graph_module)) == (new != 1)


def test_a_dynamic_batch_stays_one():
    graph_module = graph_of(_network(1, "full"), IMAGE, dynamic=True)
    assert len(shorten_shortcuts(graph_module, HALF)) == 3
    images = torch.cat([IMAGE, -IMAGE, IMAGE * 0.3])
    assert _error(graph_module, _network(2), images) <= 1e-12


def test_a_shortcut_keeps_at_least_one_channel():
    graph_module = graph_of(_network(1, "full", channels=3), IMAGE)
    with pytest.raises(ReparameterizationError, match=r"1/4 keeps none of 3 channels at add\w*; "):
        shorten_shortcuts(graph_module, Fraction(1, 4))


def test_shortcuts_are_dropped():
    graph_module = graph_of(_network(1, "full", channels=3), IMAGE)
    assert len(drop_shortcuts(graph_module)) == 3
    assert _error(graph_module, _network(6, channels=3), IMAGE) <= 1e-12
    assert not {"add", "cat"} & set(operators(graph_module))


@pytest.mark.parametrize(("divisor", "spelling"), [(1, "full"), (2, "cat"), (2, "pad")])
def test_same_multiplier_changes_nothing(divisor, spelling):
    module = _network(divisor, spelling)
    graph_module = graph_of(module, IMAGE)
    assert shorten_shortcuts(graph_module, Fraction(1, divisor)) == ()
    assert _error(graph_module, module, IMAGE) <= 1e-12


# Shortcuts with stride 1 and equal channels: tables 1 and 2 of the papers (1512.03385, 1801.04381).
@pytest.mark.parametrize(("name", "count"), [("resnet18", 5), ("mobilenet_v2", 10)])
def test_published_networks_have_as_many_as_their_tables(name, count):
    module = getattr(torchvision.models, name)(num_classes=5).eval()
    graph_module = graph_of(module, torch.randn(1, 3, 32, 64))
    assert len(shorten_shortcuts(graph_module, HALF)) == count
    assert operators(graph_module).count("cat") == count


class _NoIdentity(nn.Module):
    """Sums that are no identity shortcuts: two branches, and one value with itself."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.bias = nn.Parameter(torch.randn(1, 4, 1, 1))

    def forward(self, x):
        y = self.left(x) + self.right(x)
        return y + y + self.bias


def test_other_sums_are_left_alone():
    module = _NoIdentity().double()
    image = torch.randn(1, 4, 5, 3, dtype=torch.float64)
    graph_module = graph_of(module, image)
    assert shorten_shortcuts(graph_module, HALF) == ()
    assert _error(graph_module, module, image) <= 1e-12


def test_tokens_are_no_channels():
    class Tokens(nn.Module):
        def forward(self, x):
            return torch.tanh(x) + x

    graph_module = graph_of(Tokens(), torch.randn(2, 6, 8))
    assert shorten_shortcuts(graph_module, HALF) == ()


class _Narrow(nn.Module):
    """Only half of the channels ever exist for the shortcut."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x) + F.pad(x, (0, 0, 0, 0, 0, 4))


def test_a_narrow_shortcut_shrinks_but_cannot_grow():
    module, image = _Narrow().double(), torch.randn(1, 4, 5, 3, dtype=torch.float64)
    shrunk = graph_of(module, image)
    assert len(shorten_shortcuts(shrunk, Fraction(1, 4))) == 1
    with torch.no_grad():
        expected = module.conv(image)
        expected[:, :2] += image[:, :2]
        torch.testing.assert_close(shrunk(image)[0], expected)
    with pytest.raises(ReparameterizationError, match="has 4 channels and cannot take 8"):
        shorten_shortcuts(graph_of(module, image), Fraction(1))


@pytest.mark.parametrize("multiplier", [Fraction(0), Fraction(-1, 2), Fraction(2, 3), Fraction(2)])
def test_multipliers_that_are_none(multiplier):
    with pytest.raises(ReparameterizationError, match="is no 1/n; give 1, 1/2"):
        shorten_shortcuts(graph_of(_network(1), IMAGE), multiplier)
