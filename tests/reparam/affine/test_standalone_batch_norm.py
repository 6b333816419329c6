"""StandaloneBatchNorm: the form per rank and map, and the normalizations that have no map."""

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.passes.affine.fold_affine_into_consumers import FoldAffineIntoConsumers
from cnn_export.reparam.passes.affine.fold_affine_into_producer import FoldAffineIntoProducer
from cnn_export.reparam.passes.affine.standalone_batch_norm import StandaloneBatchNorm
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants


class _Of(nn.Module):
    """A function of the input and one normalization."""

    def __init__(self, norm, function=lambda norm, x: norm(x)):
        super().__init__()
        self.norm, self.function = norm, function
        randomize_batch_norm(self)

    def forward(self, x):
        return self.function(self.norm, x)


FORMS = {
    "image": (nn.BatchNorm2d(6), (2, 6, 7, 10), ["conv2d"]),
    "image without affine": (nn.BatchNorm2d(6, affine=False), (1, 6, 1, 5), ["conv2d"]),
    "vector": (nn.BatchNorm1d(6), (3, 6), ["mul", "add"]),
    "sequence": (nn.BatchNorm1d(6, eps=0.1), (3, 6, 5), ["mul", "add"]),
    "volume": (nn.BatchNorm3d(6), (1, 6, 2, 3, 5), ["mul", "add"]),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", FORMS)
def test_form_by_rank(case, dynamic):
    norm, shape, ops = FORMS[case]
    checked = check_pass(StandaloneBatchNorm(), _Of(norm), torch.randn(shape), dynamic=dynamic)
    assert checked.ops == ops
    assert checked.result.refusals == ()


def test_zero_shift_leaves_a_product():
    module = _Of(nn.BatchNorm2d(6))
    nn.init.zeros_(module.norm.running_mean)
    nn.init.zeros_(module.norm.bias)
    assert check_pass(StandaloneBatchNorm(), module, torch.randn(1, 6, 4, 3)).ops == ["mul"]


def test_unit_scale_leaves_a_sum():
    module = _Of(nn.BatchNorm2d(6, eps=0.5, affine=False))
    nn.init.constant_(module.norm.running_var, 0.5)
    assert check_pass(StandaloneBatchNorm(), module, torch.randn(1, 6, 4, 3)).ops == ["add"]


def test_zero_variance_is_what_epsilon_is_for():
    module = _Of(nn.BatchNorm2d(6))
    module.norm.running_var[2] = 0.0
    assert check_pass(StandaloneBatchNorm(), module, torch.randn(1, 6, 4, 3)).ops == ["conv2d"]


COMPOSED = {
    "map of channels": (lambda n, x: n(x) * n.weight.reshape(6, 1, 1) + 2, ["conv2d"]),
    "twice normalized": (lambda n, x: n(n(x)), ["conv2d"]),
    "numbers and constants": (lambda n, x: (3 - x / 4) * n.bias.reshape(1, 6, 1, 1), ["conv2d"]),
    "numbers": (lambda _, x: -(x * 2 - 1) / 3, ["mul", "add"]),
    "two operators stay": (lambda _, x: x * 2 - 1, ["mul", "sub"]),
    "one operator stays": (lambda n, x: x * n.weight.reshape(6, 1, 1), ["mul"]),
    "read in between": (lambda n, x: (y := x * n.weight.reshape(6, 1, 1)).relu() + (y + 1),
                        ["mul", "relu", "add", "add"]),
    "another dimension": (lambda n, x: (x * n.weight + n.bias) / 2, ["mul", "add", "div"]),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPOSED)
def test_maps_in_a_row_compose(case):
    function, ops = COMPOSED[case]
    module = _Of(nn.BatchNorm2d(6), function)
    before = (FoldConstants(),)
    image = torch.randn(1, 6, 4, 6)
    assert check_pass(StandaloneBatchNorm(), module, image, before=before).ops == ops


def test_two_readers_and_a_normalized_normalization():
    module = _Of(nn.BatchNorm2d(6), lambda n, x: (y := n(x).relu(), n(y), n(n(y)).sigmoid()))
    checked = check_pass(StandaloneBatchNorm(), module, torch.randn(1, 6, 4, 3))
    assert "batch_norm" not in checked.ops
    assert checked.ops.count("conv2d") == 3


class _Forked(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y.sigmoid()


def test_a_convolution_that_others_read_stays_beside_its_normalization():
    before = (FoldAffineIntoProducer(),)
    checked = check_pass(StandaloneBatchNorm(), _Forked(), torch.randn(1, 3, 5, 7), before=before)
    assert checked.ops == ["conv2d", "conv2d", "sigmoid", "add"]
    weights = sorted(tuple(each.shape) for each in checked.graph_module.state_dict().values())
    assert weights == [(4,), (4,), (4, 1, 1, 1), (4, 3, 3, 3)]


def _refusal(module, *inputs):
    graph_module = graph_of(module, *inputs)
    result = StandaloneBatchNorm()(graph_module)
    assert not result.modified
    assert "batch_norm" in operators(graph_module)
    return result.refusals[0].reason


def test_refuses_statistics_of_the_batch():
    module = _Of(nn.BatchNorm2d(6, track_running_stats=False))
    assert (
        _refusal(module, torch.randn(2, 6, 4, 3)) == "it normalizes by the statistics of the batch"
    )


def test_refuses_training_mode():
    module = _Of(
        nn.BatchNorm2d(6),
        lambda n, x: F.batch_norm(x, n.running_mean.clone(), n.running_var.clone(), training=True),
    )
    assert "statistics of the batch" in _refusal(module, torch.randn(2, 6, 4, 3))


@pytest.mark.parametrize(
    ("tensor", "value", "text"),
    [
        ("running_var", -0.5, "its running_var is -0.5 in channel 3: var + eps is not above 0"),
        ("running_var", -1e-5, "running_var is -1e-05 in channel 3"),
        ("running_mean", torch.nan, "its running_mean is nan in channel 3"),
        ("weight", torch.inf, "its weight is inf in channel 3"),
        ("bias", -torch.inf, "its bias is -inf in channel 3"),
    ],
)
@pytest.mark.parametrize("after_convolution", [False, True])
def test_never_hides_what_makes_the_network_fail(tensor, value, text, after_convolution):
    conv = nn.Conv2d(6, 6, 1) if after_convolution else nn.Identity()
    module = nn.Sequential(conv, nn.BatchNorm2d(6))
    randomize_batch_norm(module)
    getattr(module[1], tensor).data[3] = value
    graph_module = graph_of(module.double(), torch.randn(1, 6, 4, 3).double())
    for program_pass in (
        FoldAffineIntoProducer(),
        FoldAffineIntoConsumers(),
        StandaloneBatchNorm(),
    ):
        result = program_pass(graph_module)
        assert not result.modified
    assert text in result.refusals[0].reason
    assert operators(graph_module)[-1] == "batch_norm"


def test_refuses_statistics_that_are_computed():
    module = _Of(nn.BatchNorm2d(6), lambda n, x: F.batch_norm(x, x.mean((0, 2, 3)), n.running_var))
    assert _refusal(module, torch.randn(2, 6, 4, 3)) == "its running_mean is computed in the graph"


class _ChangingState(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x):
        self.norm.running_mean.add_(1.0)
        return self.norm(x)


def test_refuses_statistics_that_the_graph_changes():
    assert "written to in place" in _refusal(_ChangingState(), torch.randn(1, 6, 4, 3))


class _PreActivation(nn.Module):
    """The block of DenseNet and ResNetV2: normalize, rectify, convolve, and join the input."""

    def __init__(self, channels):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        y = self.conv(self.norm(x).relu())
        return torch.cat([x + y, y], 1)


def test_the_stage_leaves_no_normalization_in_a_pre_activation_network():
    module = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, 2, 1), _PreActivation(4), _PreActivation(8),
        nn.BatchNorm2d(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(16),
        nn.Linear(16, 5), nn.BatchNorm1d(5),
    )  # fmt: skip
    randomize_batch_norm(module)
    image = torch.randn(1, 3, 13, 10)
    graph_module = capture(module.eval(), (image,)).graph_module
    reparameterize_graph(graph_module)
    left = operators(graph_module)
    assert "batch_norm" not in left
    assert left.count("add") == 3  # one before the padded stem, one per block
    assert left.count("conv2d") == 5  # three of the network, one normalization per block
    expected = module.double()(image.double())
    torch.testing.assert_close(graph_module(image)[0].double(), expected, rtol=1e-4, atol=1e-4)


def test_leaves_maps_along_channels_that_stand_last():
    """Fully connected layers take them over; here they cannot, as their weights are computed."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))
            self.scale, self.shift = nn.Parameter(torch.randn(6)), nn.Parameter(torch.randn(6))

        def forward(self, x):
            y = (x * self.scale + self.shift) * self.scale + self.shift
            return nn.functional.linear(y, self.weight * x.mean())

    before = (FoldConstants(),)
    checked = check_pass(StandaloneBatchNorm(), Last(), torch.randn(2, 6, 5, 6), before=before)
    assert not checked.result.modified
