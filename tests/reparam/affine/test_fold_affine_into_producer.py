"""FoldAffineIntoProducer: every operator it folds into, and everything it leaves alone."""

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import check_pass, graph_of, operators
from torch import nn

from cnn_export.program.program import capture
from cnn_export.reparam.passes.affine.fold_affine_into_producer import FoldAffineIntoProducer
from cnn_export.reparam.passes.canonical.constant_folding import FoldConstants


def _stack(*layers):
    module = nn.Sequential(*layers)
    randomize_batch_norm(module)
    return module


CASES = {
    "plain": (nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), (2, 3, 7, 9)),
    "no bias": (nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), (1, 3, 6, 4)),
    "not affine": (nn.Conv2d(3, 5, 2), nn.BatchNorm2d(5, affine=False), (1, 3, 5, 8)),
    "large epsilon": (nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5, eps=0.1), (1, 3, 5, 8)),
    "depthwise": (nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.BatchNorm2d(6), (1, 6, 9, 7)),
    "grouped dilated": (nn.Conv2d(6, 9, 3, dilation=2, groups=3), nn.BatchNorm2d(9), (1, 6, 11, 9)),
    "same padding": (nn.Conv2d(3, 4, 4, padding="same"), nn.BatchNorm2d(4), (1, 3, 7, 9)),
    "reflect": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4),
                (1, 3, 5, 7)),
    "1d": (nn.Conv1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (2, 4, 11)),
    "3d": (nn.Conv3d(2, 4, (1, 2, 3)), nn.BatchNorm3d(4), (1, 2, 3, 5, 4)),
    "transposed 1d": (nn.ConvTranspose1d(4, 6, 3, groups=2), nn.BatchNorm1d(6), (1, 4, 7)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, 2, output_padding=1), nn.BatchNorm2d(6),
                   (1, 4, 5, 3)),
    "transposed grouped": (nn.ConvTranspose2d(6, 9, 2, groups=3, bias=False), nn.BatchNorm2d(9),
                           (1, 6, 5, 3)),
    "transposed 3d": (nn.ConvTranspose3d(2, 4, 2, groups=2), nn.BatchNorm3d(4), (1, 2, 3, 2, 4)),
    "linear": (nn.Linear(5, 4), nn.BatchNorm1d(4), (3, 5)),
    "linear no bias": (nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), (3, 5)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_folds(case):
    operator, norm, shape = CASES[case]
    checked = check_pass(FoldAffineIntoProducer(), _stack(operator, norm), torch.randn(shape))
    assert len(checked.result.rewrites) == 1
    assert checked.result.refusals == ()
    assert "batch_norm" not in checked.ops
    assert not any("running" in name for name in checked.graph_module.state_dict())


def test_keeps_a_dynamic_batch():
    module = _stack(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    checked = check_pass(FoldAffineIntoProducer(), module, torch.randn(1, 3, 7, 9), dynamic=True)
    assert checked.result.modified


def test_twice_normalized_folds_one_after_the_other():
    module = _stack(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.BatchNorm2d(5, affine=False))
    checked = check_pass(FoldAffineIntoProducer(), module, torch.randn(1, 3, 7, 9))
    assert checked.ops == ["conv2d"]


def test_new_weights_know_the_source_line():
    module = _stack(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    graph_module = graph_of(module, torch.randn(1, 3, 7, 9))
    FoldAffineIntoProducer()(graph_module)
    added = [node for node in graph_module.graph.nodes if "folded" in str(node.target)]
    assert len(added) == 2
    assert all("conv.py" in node.meta["stack_trace"] for node in added)
    assert all("." not in str(node.target) for node in added)


class _SharedWeight(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x):
        return self.conv(self.second(self.conv(self.first(self.conv(x)))))


def test_shared_weight_gets_its_own_copy_per_fold():
    checked = check_pass(FoldAffineIntoProducer(), _SharedWeight(), torch.randn(1, 4, 5, 7))
    assert checked.ops == ["conv2d"] * 3
    assert len(checked.graph_module.state_dict()) == 6


def test_does_not_write_to_the_given_weights():
    module = _stack(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    FoldAffineIntoProducer()(graph_of(module, torch.randn(1, 3, 7, 9)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


class _Forked(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + y.sigmoid()


def _refused(module, *inputs):
    checked = check_pass(FoldAffineIntoProducer(), module, *inputs)
    assert not checked.result.modified
    assert "batch_norm" in checked.ops
    return checked.reasons


def test_refuses_a_convolution_that_others_read():
    reasons = _refused(_Forked(), torch.randn(1, 3, 5, 7))
    assert len(reasons) == 1
    assert "conv2d is also read: batch_norm, sigmoid" in reasons[0]


def test_says_nothing_of_a_normalization_without_a_convolution():
    assert _refused(_stack(nn.ReLU(), nn.BatchNorm2d(3)), torch.randn(1, 3, 5, 7)) == []


def test_refuses_a_linear_layer_whose_features_are_not_normalized():
    reasons = _refused(_stack(nn.Linear(6, 5), nn.BatchNorm1d(4)), torch.randn(2, 4, 6))
    assert "lie in dimension 2" in reasons[0]


def test_refuses_statistics_of_the_batch():
    module = _stack(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert "statistics of the batch" in _refused(module, torch.randn(2, 3, 5, 7))[0]


class _ComputedWeight(nn.Module):
    def __init__(self, which):
        super().__init__()
        self.which, self.norm = which, nn.BatchNorm2d(4)
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        randomize_batch_norm(self)

    def forward(self, x, scale):
        norm = self.norm
        weight = self.weight * scale if self.which == "weight" else self.weight
        gamma = norm.weight * scale if self.which == "gamma" else norm.weight
        y = nn.functional.conv2d(x, weight)
        return nn.functional.batch_norm(y, norm.running_mean, norm.running_var, gamma, norm.bias)


@pytest.mark.parametrize(
    ("which", "text"), [("weight", "conv2d are computed"), ("gamma", "weight")]
)
def test_refuses_computed_weights(which, text):
    inputs = (torch.randn(1, 3, 5, 7), torch.tensor(1.7))
    reasons = _refused(_ComputedWeight(which), *inputs)
    assert text in reasons[0]
    assert "computed in the graph" in reasons[0]


def test_refuses_weights_that_are_not_finite():
    module = _stack(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    module[0].weight.data[1, 0, 2, 2] = torch.nan
    graph_module = graph_of(module, torch.randn(1, 3, 5, 7))
    result = FoldAffineIntoProducer()(graph_module)
    assert "not finite" in result.refusals[0].reason
    assert "batch_norm" in operators(graph_module)


def test_refuses_a_variance_that_epsilon_does_not_save():
    module = _stack(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.0))
    module[1].running_var[2] = 0.0
    result = FoldAffineIntoProducer()(graph_of(module, torch.randn(1, 3, 5, 7)))
    assert "its running_var is 0 in channel 2: var + eps is not above 0" in (
        result.refusals[0].reason
    )


class _Scaled(nn.Module):
    """A layer, then a map per channel in some spelling."""

    def __init__(self, layer, function, shape):
        super().__init__()
        self.layer, self.function = layer, function
        self.constant = nn.Parameter(torch.randn(shape))

    def forward(self, x):
        return self.function(self.layer(x), self.constant)


CONV, LINEAR = nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.Linear(5, 6)
MAPS = {
    "layer scale": (CONV, lambda y, c: y * c, (6, 1, 1), (2, 4, 5, 7)),
    "constant first": (CONV, lambda y, c: c - y, (1, 6, 1, 1), (2, 4, 5, 7)),
    "numbers": (CONV, lambda y, c: (2 * y - 1) / 3 + c, (), (2, 4, 5, 7)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), lambda y, c: y / c, (6, 1, 1),
                   (1, 4, 5, 3)),
    "features last": (LINEAR, lambda y, c: y * c, (6,), (2, 3, 4, 5)),
    "features of a sequence": (LINEAR, lambda y, c: -(y + c), (1, 1, 6), (2, 7, 5)),
    "one image": (CONV, lambda y, c: y * c, (6, 1, 1), (4, 5, 7)),
}  # fmt: skip


@pytest.mark.parametrize("case", MAPS)
def test_folds_other_maps_per_channel(case):
    layer, function, constant, shape = MAPS[case]
    checked = check_pass(
        FoldAffineIntoProducer(), _Scaled(layer, function, constant), torch.randn(shape)
    )
    assert len(checked.ops) == 1
    assert checked.result.refusals == ()


OTHERS = {
    "rows": (CONV, lambda y, c: y * c, (3, 1), (2, 4, 5, 7)),
    "widened": (nn.Conv2d(4, 1, 3), lambda y, c: y * c, (6, 1, 1), (2, 4, 5, 7)),
    "divided by it": (CONV, lambda y, c: c / y, (6, 1, 1), (2, 4, 5, 7)),
    "rounded": (CONV, lambda y, c: torch.div(y, c, rounding_mode="floor"), (6, 1, 1), (1, 4, 5, 7)),
    "by itself": (CONV, lambda y, c: y * y, (1,), (2, 4, 5, 7)),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_leaves_other_products_alone(case):
    layer, function, constant, shape = OTHERS[case]
    module = _Scaled(layer, function, constant)
    checked = check_pass(FoldAffineIntoProducer(), module, torch.randn(shape))
    assert not checked.result.modified
    assert checked.reasons == []


def test_a_product_with_one_vector_has_no_channels():
    class Vector(_Scaled):
        def forward(self, x):
            return nn.functional.linear(x, self.constant) * 2

    checked = check_pass(FoldAffineIntoProducer(), Vector(None, None, (5,)), torch.randn(3, 4, 5))
    assert checked.ops == ["linear", "mul"]


def test_whole_numbers_stay_whole():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.arange(9).reshape(1, 1, 3, 3))

        def forward(self, x):
            return nn.functional.conv2d(x, self.weight) * 2

    graph_module = graph_of(Whole(), torch.arange(20).reshape(1, 1, 4, 5))
    assert not FoldAffineIntoProducer()(graph_module).modified
    assert operators(graph_module) == ["conv2d", "mul"]


class _CalledTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.other = nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x):
        first, second, third = self.conv(x), self.conv(x.tanh()), self.conv(x.sigmoid())
        return self.norm(second) + self.norm(first), self.other(third)


def test_one_layer_called_twice_alike_is_stored_once():
    checked = check_pass(FoldAffineIntoProducer(), _CalledTwice(), torch.randn(1, 4, 5, 7))
    assert sorted(checked.ops) == ["add", "conv2d", "conv2d", "conv2d", "sigmoid", "tanh"]
    assert len(checked.graph_module.state_dict()) == 4


class _ChangingState(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        randomize_batch_norm(self)

    def forward(self, x):
        self.norm.running_mean.add_(1.0)
        return self.norm(self.conv(x))


def test_refuses_statistics_that_the_graph_changes():
    program = capture(_ChangingState(), (torch.randn(1, 3, 5, 7),))
    result = FoldAffineIntoProducer()(program.graph_module)
    assert not result.modified
    assert "written to in place" in result.refusals[0].reason


class _Permuted(nn.Module):
    """A linear layer on channels that stand last, permuted, then a function of its result."""

    def __init__(self, function, order=(0, 3, 1, 2)):
        super().__init__()
        self.linear, self.function, self.order = nn.Linear(3, 5), function, order
        self.norm = nn.BatchNorm2d(5)
        self.scale = nn.Parameter(torch.randn(5))
        randomize_batch_norm(self)

    def forward(self, x):
        return self.function(self, self.linear(x.permute(0, 2, 3, 1)).permute(self.order))


def test_folds_a_normalization_behind_permuted_dimensions():
    module = _Permuted(lambda m, y: m.norm(y))
    checked = check_pass(FoldAffineIntoProducer(), module, torch.randn(2, 3, 4, 7))
    assert checked.ops == ["permute", "linear", "permute"]


def test_folds_a_layer_scale_behind_permuted_dimensions():
    module = _Permuted(lambda m, y: m.norm(y) * m.scale.view(1, -1, 1, 1))
    image = torch.randn(2, 3, 4, 7)
    checked = check_pass(FoldAffineIntoProducer(), module, image, before=(FoldConstants(),))
    assert checked.ops == ["permute", "linear", "permute"]


def test_refuses_permuted_features_that_are_not_normalized():
    module = _Permuted(lambda m, y: m.norm(y), order=(0, 1, 3, 2))
    assert "lie in dimension 2" in _refused(module, torch.randn(2, 3, 5, 7))[0]


@pytest.mark.parametrize("read", ["linear", "permute_1"])
def test_refuses_permuted_maps_that_others_read(read):
    class Forked(_Permuted):
        def forward(self, x):
            y = self.linear(x.permute(0, 2, 3, 1))
            z = y.permute(self.order)
            return self.norm(z), (y if read == "linear" else z).sigmoid()

    reasons = _refused(Forked(None), torch.randn(2, 3, 4, 7))
    assert reasons[0].startswith(f"{read} is also read")
