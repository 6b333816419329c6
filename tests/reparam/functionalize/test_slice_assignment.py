"""Slice assignment in all spellings becomes values, whatever is written and read in which order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pass_checks import check_pass, graph_of, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.aliases import written_nodes
from cnn_export.reparam.graph.operators import arguments, operator_name
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.passes.slices.simplify_slices import SimplifySlices
from cnn_export.reparam.passes.slices.split_to_slices import SplitToSlices

SHAPE = (2, 4, 5, 7)


class _Function(nn.Module):
    """A convolution, then a function of (its output, the input)."""

    def __init__(self, function):
        super().__init__()
        # Autograd forbids some writes to splits; a network without gradients may hold them.
        self.conv = nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x), x)


def _functional(function, dynamic=False):
    shape = (1, *SHAPE[1:]) if dynamic else SHAPE
    module, image = _Function(function), torch.randn(shape)
    checked = check_pass(
        FunctionalizeInplace(), module, image, dynamic=dynamic, before=(SplitToSlices(),)
    )
    assert checked.result.refusals == ()
    assert written_nodes(checked.graph_module.graph) == set()
    return checked


def _assign(y, x):
    y[:, :3] = y[:, :3] + x[:, :3]
    return y


def _add(y, x):
    y[:, :3] += x[:, :3]
    return y


def _add_view(y, x):
    y.narrow(1, 0, 3).add_(x.narrow(1, 0, 3))
    return y


def _copy(y, x):
    part = y[:, :3] + x[:, :3]
    y[:, :3].copy_(part)
    return y


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("function", [_assign, _add, _add_view, _copy])
def test_partial_shortcut_becomes_its_canonical_form(function, dynamic):
    checked = _functional(function, dynamic=dynamic)
    graph_module = checked.graph_module
    for each in (RemoveNoOps(), SimplifySlices(), RemoveNoOps()):
        each(graph_module)
    assert operators(graph_module) == ["conv2d", "slice", "slice", "add", "slice", "cat"]
    conv, image_part = (
        next(n for n in graph_module.graph.nodes if operator_name(n) == "conv2d"),
        next(n for n in graph_module.graph.nodes if n.op == "placeholder"),
    )
    (cat,) = (n for n in graph_module.graph.nodes if operator_name(n) == "cat")
    add, rest = cat.args[0]
    assert cat.args[1] == 1
    assert [_region(each) for each in add.args] == [(conv, 1, 0, 3), (image_part, 1, 0, 3)]
    assert _region(rest) == (conv, 1, 3, 4)


def _region(node):
    bound = arguments(node)
    return bound["self"], bound["dim"], bound["start"] or 0, bound["end"]


def test_full_residual_becomes_an_addition():
    def function(y, x):
        y = F.relu(y)
        y[:, :4] = y[:, :4] + x[:, :4]
        return y

    graph_module = graph_of(_Function(function), torch.randn(SHAPE))
    report = reparameterize_graph(graph_module)
    assert report.proof is not None
    assert operators(graph_module) == ["conv2d", "relu", "add"]


def _several(y, x):
    y[:, :2] = 1.5
    y[:, 1:3] += y[:, :2] * 2
    y[:, :, 1:-1, 2] = x[:, :, 1:-1, 2]
    return y


def _old_and_new_views(y, x):
    part = y[:, 1:3]
    before = part * 2
    part.mul_(3)
    y[:, 2:].add_(x[:, 2:])
    return before, part, y.sum(1), part + before


def _view_of_view(y, x):
    y[:, 1:][:, :, 2:][:, 0].copy_(x[:, 0, 2:])
    return y


def _permuted(y, x):
    y.permute(0, 2, 3, 1)[..., 1:3] = x.permute(0, 2, 3, 1)[..., :2]
    y.transpose(1, 2)[:, 0] = 2
    y[0, 0].t()[3:].neg_()
    return y


def _through_view(y, x):
    y.view(2, 2, 2, 5, 7)[:, :, 0].mul_(2)
    y.unflatten(1, (2, 2))[:, 1] = 0
    y.unsqueeze(2).squeeze(2)[:, 3].add_(1)
    return y


def _steps(y, x):
    y[..., ::2] = x[..., ::2]
    y[:, :, 1::3] *= 2
    return y


def _negative(y, x):
    y[:, -1] = x[:, -2]
    y[:, :, -3:-1] = 0
    y[:, 5:] = 7
    return y


def _broadcast(y, x):
    y[:, 1:3] = x[:1, :1, :1]
    y[:, 0] = torch.tensor(2.5)
    return y


def _input_written(y, x):
    x[:, :2] += y[:, :2]
    return x * 2, y


def _overlapping(y, x):
    left, right = y[:, :3], y[:, 1:]
    left += 1
    right *= 2
    left.sub_(x[:, :3])
    return left, right, y


def _dropout_between(y, x):
    z = F.dropout(y, 0.5, False)
    z[:, :2] = 0
    return y + z


def _masked(y, x):
    y[:, :2][x[:, :2] > 0] = 0
    y[:, 2:].masked_fill_(x[:, 2:] < 0, 1.0)
    return y


def _read_through_expand(y, x):
    wide = y[:, :1].expand(2, 4, 5, 7)
    y[:, 0].mul_(2)
    return wide + y.diagonal(0, 2, 3).sum()


def _splits(y, x):
    first, second = y.split(2, 1)
    y.mul_(2)
    second.add_(x[:, :2])
    y.unbind(1)[1].zero_()
    return first - second, y


CASES = (
    _several,
    _old_and_new_views,
    _view_of_view,
    _permuted,
    _through_view,
    _steps,
    _negative,
    _broadcast,
    _input_written,
    _overlapping,
    _dropout_between,
    _masked,
    _read_through_expand,
    _splits,
)


FIX_THE_BATCH = (_permuted, _through_view, _read_through_expand, _broadcast)


@pytest.mark.parametrize("function", CASES, ids=lambda each: each.__name__)
def test_equals_the_module(function):
    assert _functional(function).result.modified


@pytest.mark.parametrize(
    "function", [each for each in CASES if each not in FIX_THE_BATCH], ids=lambda f: f.__name__
)
def test_keeps_a_dynamic_batch(function):
    assert _functional(function, dynamic=True).result.modified


def test_whole_stage_leaves_pieces_only():
    graph_module = graph_of(_Function(_several), torch.randn(SHAPE))
    reparameterize_graph(graph_module)
    assert set(operators(graph_module)) <= {
        "conv2d", "slice", "select", "cat", "mul", "add", "unsqueeze"}  # fmt: skip


def test_negative_steps_never_reach_the_graph():
    with pytest.raises(Exception, match="step must be greater than zero"):
        graph_of(_Function(lambda y, x: y[:, ::-1]), torch.randn(SHAPE))


def _slice(tensor, dim, start, length):
    dim %= tensor.ndim
    return (
        tensor.narrow(dim, start % tensor.shape[dim], 1)
        if length == 0
        else tensor[(slice(None),) * dim + (slice(start % tensor.shape[dim], None),)]
    )


VIEWS = (
    lambda v, a, b: _slice(v, a, b, 1),
    lambda v, a, b: _slice(v, a, b, 0),
    lambda v, a, b: v[(slice(None),) * (a % v.ndim) + (slice(None, None, 2),)],
    lambda v, a, b: v.select(a % v.ndim, b % v.shape[a % v.ndim]) if v.ndim > 1 else v,
    lambda v, a, b: v.unsqueeze(a % v.ndim),
    lambda v, a, b: v.transpose(a % v.ndim, b % v.ndim),
    lambda v, a, b: v.detach(),
)
WRITES = (
    lambda v, o, b: v.mul_(b + 0.5),
    lambda v, o, b: v.add_(o),
    lambda v, o, b: v.copy_(o * 2.0),
    lambda v, o, b: v.fill_(b),
    lambda v, o, b: v.clamp_(min=-0.1),
    lambda v, o, b: v.zero_(),
)
STEP = st.tuples(
    st.sampled_from(["view", "write", "read"]),
    st.integers(0, 6),
    st.integers(0, 3),
    st.integers(0, 4),
    st.integers(0, 7),
)


def _program(steps):
    def function(y, x):
        seen, results = [y, x * 1.0], [x]
        for kind, which, first, second, at in steps:
            tensor = seen[at % len(seen)]
            if kind == "view":
                seen.append(VIEWS[which % len(VIEWS)](tensor, first, second))
            elif kind == "write":
                others = [v for v in seen if v.shape == tensor.shape]
                other = others[second % len(others)] * 1.0
                WRITES[which % len(WRITES)](tensor, other, second)
            else:
                results.append(tensor * 2.0)
        return (*results, *(each + 0.0 for each in seen))

    return function


@settings(max_examples=30)
@given(st.lists(STEP, min_size=2, max_size=9))
def test_random_reads_and_writes_equal_eager_torch_exactly(steps):
    module = _Function(_program(steps)).double().eval()
    image = torch.randn(SHAPE, dtype=torch.float64)
    graph_module = graph_of(module, image)
    with torch.no_grad():
        expected = module(image.clone())
    SplitToSlices()(graph_module)
    result = FunctionalizeInplace()(graph_module)
    assert result.refusals == ()
    assert written_nodes(graph_module.graph) == set()
    with torch.no_grad():
        actual = graph_module(image.clone())
    assert all(torch.equal(a, b) for a, b in zip(expected, actual, strict=True))
