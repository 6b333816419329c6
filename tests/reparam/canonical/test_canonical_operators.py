"""CanonicalOperators: a decomposed program reads like the trace it was made from."""

import pytest
import torch
from pass_checks import graph_as_traced, graph_of, operators
from torch import fx, nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.passes.canonical.canonical_operators import CanonicalOperators
from cnn_export.reparam.proof.comparison import relative_error

aten = torch.ops.aten


class _Network(nn.Module):
    """One of everything that decomposition respells."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1, dilation=(1, 2), groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.up = nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, groups=2, bias=False, dilation=(1, 2))
        self.norm_up = nn.BatchNorm2d(4, affine=False)
        self.line = nn.Conv1d(4, 3, 3, padding=2)
        self.head, self.plain = nn.Linear(3, 5), nn.Linear(5, 2, bias=False)
        for norm in (self.norm, self.norm_up):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.normal_(self.norm.weight)

    def forward(self, x):
        x = F.max_pool2d(F.hardswish(self.norm(self.conv(x))), 3, 2, 1)
        x = F.dropout(F.pad(self.norm_up(self.up(x)), (1, 2)), 0.5, self.training)
        x = self.line(F.adaptive_avg_pool2d(x, (1, 6)).flatten(2))
        return self.plain(F.relu6(self.head(x.mean(2))))


def _decomposed(module, *inputs, dynamic=False):
    """Return the graph of a saved core ATen program, as a ``.pt2`` file holds it."""
    shapes = tuple({0: torch.export.Dim("batch", min=1, max=64)} for _ in inputs)
    exported = torch.export.export(
        module.eval(), inputs, dynamic_shapes=shapes if dynamic else None, strict=False
    )
    core = exported.run_decompositions().module(check_guards=False)
    # torch's own module refuses eval(), which capturing calls.
    core = fx.GraphModule(core, core.graph)
    return capture(core, inputs, dynamic_batch=dynamic).graph_module


@pytest.mark.parametrize("dynamic", [False, True])
def test_core_program_becomes_the_trace(dynamic):
    module, image = _Network().double(), torch.randn(16, 4, 13, 10, dtype=torch.float64)
    graph_module = _decomposed(module, image, dynamic=dynamic)
    decomposed = set(operators(graph_module))
    assert {"convolution", "addmm", "max_pool2d_with_indices"} <= decomposed
    assert {"_native_batch_norm_legit_no_training", "constant_pad_nd"} <= decomposed
    result = CanonicalOperators()(graph_module)
    assert result.refusals == ()
    assert not CanonicalOperators()(graph_module).modified
    kept = set(operators(graph_module))
    assert {"conv2d", "conv1d", "conv_transpose2d", "batch_norm", "linear", "pad"} <= kept
    assert not kept & {"convolution", "addmm", "mm", "max_pool2d_with_indices", "constant_pad_nd"}
    other = torch.randn(3 if dynamic else 16, 4, 13, 10, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error((module(other),), graph_module(other)) <= 1e-12


def test_the_stage_makes_the_same_network_of_both():
    module, image = _Network(), torch.randn(2, 4, 13, 10)
    traced, decomposed = graph_of(module, image), _decomposed(module, image)
    for graph_module in (traced, decomposed):
        assert reparameterize_graph(graph_module).proof is not None
    # One spells the change of shape as flatten, the other as reshape.
    same = {"flatten": "reshape"}
    assert [same.get(name, name) for name in operators(traced)] == operators(decomposed)
    assert "hardswish" in operators(decomposed)
    assert "batch_norm" not in operators(decomposed)


class _Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.norm = function, nn.BatchNorm2d(4)
        nn.init.normal_(self.norm.running_mean)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3))
        self.matrix = nn.Parameter(torch.randn(7, 3))

    def forward(self, x):
        return self.function(x.neg(), self, self.norm)


def _norm_arguments(x, n):
    return x, n.weight, n.bias, n.running_mean, n.running_var


RESPELLED = {
    "native": (
        lambda x, m, n: aten.native_batch_norm(*_norm_arguments(x, n), False, 0.1, 1e-3)[0],
        ["batch_norm"],
    ),
    "legit": (
        lambda x, m, n: aten._native_batch_norm_legit(*_norm_arguments(x, n), False, 0.1, 1e-3)[0],
        ["batch_norm"],
    ),
    "no update": (
        lambda x, m, n: aten._batch_norm_no_update(*_norm_arguments(x, n), 0.1, 1e-3)[0],
        ["batch_norm"],
    ),
    "one-sided clamp": (lambda x, m, n: x.clamp(min=0), ["relu"]),
    "clamp from below": (lambda x, m, n: torch.clamp_min(x, 0.0), ["relu"]),
    "clamp from zero to six": (lambda x, m, n: x.clamp(0, 6), ["relu6"]),
    "module of relu6": (lambda x, m, n: nn.ReLU6()(x), ["relu6"]),
    "hardtanh from zero to six": (lambda x, m, n: F.hardtanh(x, 0.0, 6.0), ["relu6"]),
    "padding by a value": (lambda x, m, n: aten.constant_pad_nd(x, [1, 2], 0.5), ["pad"]),
    "stored matrix": (
        lambda x, m, n: x[0, 0] @ m.matrix,
        ["select", "select", "permute", "linear"],
    ),
    "stored matrix for many": (lambda x, m, n: x @ m.matrix, ["permute", "linear"]),
}


@pytest.mark.parametrize("case", RESPELLED)
def test_respells(case):
    function, expected = RESPELLED[case]
    module = _Call(function).double().eval()
    image = torch.randn(2, 4, 5, 7, dtype=torch.float64)
    graph_module = graph_of(module, image)
    result = CanonicalOperators()(graph_module)
    assert operators(graph_module) == ["neg", *expected]
    with torch.no_grad():
        assert relative_error((module(image),), graph_module(image)) <= 1e-12
    assert result.refusals == ()


LEFT = {
    "training": (
        lambda x, m, n: aten.native_batch_norm(*_norm_arguments(x, n), True, 0.1, 1e-3)[0],
        "it normalizes by the statistics of the batch",
    ),
    "statistics read": (
        lambda x, m, n: aten.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-3)[1],
        "it normalizes by the statistics of the batch",
    ),
    "indices read": (
        lambda x, m, n: aten.max_pool2d_with_indices(x, [2, 2])[1] * 2,
        "its further results are read",
    ),
    "dropout in training": (
        lambda x, m, n: aten.native_dropout(x, 0.5, True)[0],
        "it drops elements at random",
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_refuses(case):
    function, reason = LEFT[case]
    graph_module = graph_as_traced(_Call(function), torch.randn(2, 4, 5, 7))
    before = operators(graph_module)
    result = CanonicalOperators()(graph_module)
    assert not result.modified
    assert operators(graph_module) == before
    assert reason in result.refusals[0].reason


KEPT = {
    "scaled sum": lambda x, m, n: torch.addmm(x[0, 0, 0, :3], x[0, 0], m.matrix, beta=2),
    "bias per row": lambda x, m, n: torch.addmm(x[0, 0, :, :1], x[0, 0], m.matrix),
    "computed matrix": lambda x, m, n: torch.mm(x[0, 0], m.matrix * 2),
    "clamp at one": lambda x, m, n: x.clamp(min=1),
    "two-sided clamp": lambda x, m, n: x.clamp(0, 1),
    "clamp by tensors": lambda x, m, n: x.clamp(torch.zeros(()), torch.full((), 6.0)),
    "hardtanh": lambda x, m, n: F.hardtanh(x),
    "product of two maps": lambda x, m, n: x.transpose(2, 3) @ x,
    "stored maps": lambda x, m, n: x.mean(0, True)[..., :3, :3] @ m.weight,
}


@pytest.mark.parametrize("case", KEPT)
def test_keeps(case):
    graph_module = graph_of(_Call(KEPT[case]), torch.randn(2, 4, 5, 7))
    result = CanonicalOperators()(graph_module)
    assert not result.modified
    assert result.refusals == ()


class _InstanceNorm(nn.Module):
    def __init__(self, tracked: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=(2, 1))
        self.norm = nn.InstanceNorm2d(5, affine=True, track_running_stats=tracked)
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)
        if tracked:
            nn.init.normal_(self.norm.running_mean)
            nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize(
    ("tracked", "left"), [(True, ["conv2d"]), (False, ["conv2d", "instance_norm"])]
)
def test_an_instance_norm_with_stored_statistics_is_a_batch_norm(tracked, left):
    module, image = _InstanceNorm(tracked).eval(), torch.randn(2, 3, 7, 10)
    graph_module = graph_of(module, image)
    reparameterize_graph(graph_module)
    assert operators(graph_module) == left
    assert torch.allclose(graph_module(image)[0], module(image), atol=1e-5)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("kernel", "dilation", "padding", "odd"),
    [
        ((2, 4), (3, 1), "same", True),
        ((3, 2), (1, 2), "same", False),
        ((1, 3), (1, 1), "same", False),
        ((2, 3), (1, 2), "valid", False),
    ],
)
def test_a_convolution_pads_by_numbers(kernel, dilation, padding, odd, dynamic):
    """What "same" puts on either side of an even kernel differs between formats."""
    conv = nn.Conv2d(4, 6, kernel, padding=padding, dilation=dilation, groups=2).double()
    image = torch.randn(16, 4, 11, 13, dtype=torch.float64)
    graph_module = capture(conv, (image,), dynamic_batch=dynamic).graph_module
    assert CanonicalOperators()(graph_module).modified
    assert not CanonicalOperators()(graph_module).modified
    assert operators(graph_module) == (["pad", "conv2d"] if odd else ["conv2d"])
    assert aten.conv2d.padding not in [node.target for node in graph_module.graph.nodes]
    other = torch.randn(3 if dynamic else 16, 4, 11, 13, dtype=torch.float64)
    with torch.no_grad():
        assert relative_error((conv(other),), graph_module(other)) <= 1e-12


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv3d])
def test_other_dimensions_pad_by_numbers_too(kind):
    dimensions = 1 if kind is nn.Conv1d else 3
    conv = kind(2, 3, 4, padding="same").double()
    image = torch.randn(2, 2, *(9, 7, 6)[:dimensions], dtype=torch.float64)
    graph_module = graph_of(conv, image)
    assert CanonicalOperators()(graph_module).modified
    assert operators(graph_module) == ["pad", f"conv{dimensions}d"]
    with torch.no_grad():
        assert relative_error((conv(image),), graph_module(image)) <= 1e-12
