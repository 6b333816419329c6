"""RemoveNoOps and CanonicalReshape."""

import pytest
import torch
from pass_checks import check_pass, graph_as_traced, operators
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.canonical.canonical_reshape import CanonicalReshape
from cnn_export.reparam.passes.canonical.remove_no_ops import RemoveNoOps


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x.sigmoid()).tanh()


IMAGE = torch.randn(1, 4, 5, 7)

NO_OPS = {
    "dropout in evaluation": lambda x: F.dropout(x, 0.4, training=False),
    "dropout 2d": lambda x: F.dropout2d(x, 0.4, training=False),
    "alpha dropout": lambda x: F.alpha_dropout(x, 0.4, training=False),
    "dropout of nothing": lambda x: F.dropout(x, 0.0, training=True),
    "whole slice": lambda x: x[:, :4],
    "oversized slice": lambda x: x[:, 0:99, :, :],
    "narrow": lambda x: x.narrow(2, 0, 5),
    "clone": lambda x: x.clone(),
    "detach": lambda x: x.detach(),
    "same dtype": lambda x: x.to(torch.float64),
    "same dtype as": lambda x: x.type_as(x + 1) + x,
    "reshape": lambda x: x.reshape(x.shape),
    "expand": lambda x: x.expand(-1, 4, 5, 7),
    "flatten": lambda x: x.flatten(1, 1),
    "squeeze": lambda x: x.squeeze(1),
    "pad": lambda x: F.pad(x, (0, 0, 0, 0)),
    "reflect pad": lambda x: F.pad(x, (0, 0, 0, 0), mode="reflect"),
    "add zero": lambda x: x + 0,
    "subtract zero": lambda x: x - 0.0,
    "times one": lambda x: x * 1.0,
    "by one": lambda x: x / 1,
    "permute": lambda x: x.permute(0, 1, -2, -1),
    "transpose": lambda x: x.transpose(1, -3),
    "cat of one": lambda x: torch.cat([x], 1),
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", NO_OPS)
def test_removes(case, dynamic):
    module = _Function(NO_OPS[case])
    checked = check_pass(RemoveNoOps(), module, IMAGE, dynamic=dynamic)
    rest = [name for name in checked.ops if name not in ("sym_size", "add")]
    assert rest == ["sigmoid", "tanh"]
    assert checked.result.modified
    assert checked.result.refusals == ()


MEANT = {
    "part of a slice": (lambda x: x[:, :3], "slice"),
    "strided slice": (lambda x: x[:, :, ::2], "slice"),
    "other dtype": (lambda x: x.to(torch.float32), "to"),
    "other shape": (lambda x: x.reshape(1, 4, 35), "reshape"),
    "expanded": (lambda x: x[:, :1].expand(-1, 4, -1, -1), "expand"),
    "padded": (lambda x: F.pad(x, (0, 1)), "pad"),
    "cropped and padded": (lambda x: F.pad(x, (1, -1)), "pad"),
    "add one": (lambda x: x + 1, "add"),
    "broadcast add": (lambda x: x[:, :1] + 0 * x, "add"),
    "times two": (lambda x: x * 2, "mul"),
    "floor": (lambda x: torch.div(x, 1, rounding_mode="floor"), "div"),
    "square transpose": (lambda x: x[:, :, :4, :4].transpose(2, 3), "transpose"),
    "square permute": (lambda x: x[:, :, :4, :4].permute(0, 1, 3, 2), "permute"),
    "cat of two": (lambda x: torch.cat([x, x], 1), "cat"),
}


@pytest.mark.parametrize("case", MEANT)
def test_keeps_what_has_an_effect(case):
    function, name = MEANT[case]
    checked = check_pass(RemoveNoOps(), _Function(function), IMAGE)
    assert name in checked.ops
    assert checked.result.refusals == ()


def test_keeps_dropout_in_training():
    graph_module = graph_as_traced(_Function(lambda x: F.dropout(x, 0.5, training=True)), IMAGE)
    assert not RemoveNoOps()(graph_module).modified
    assert "dropout" in operators(graph_module)


def test_removes_assertions_on_metadata():
    checked = check_pass(RemoveNoOps(), _Function(lambda x: x.to(torch.float32).double()), IMAGE)
    assert "_assert_tensor_metadata" not in checked.ops
    assert checked.ops.count("to") == 2


def _clone_then_write(x):
    y = x.clone()
    y.relu_()
    return y - x


def _write_original_after_clone(x):
    y = x.clone()
    x.mul_(3)
    return y - x


@pytest.mark.parametrize("function", [_clone_then_write, _write_original_after_clone])
def test_refuses_a_copy_that_protects_from_a_write(function):
    checked = check_pass(RemoveNoOps(), _Function(function), IMAGE)
    assert "clone" in checked.ops
    assert "written to in place" in checked.reasons[0]


class _Echo(nn.Module):
    def forward(self, x):
        return x.clone(), x + 1


def test_refuses_to_return_an_input():
    checked = check_pass(RemoveNoOps(), _Echo(), IMAGE)
    assert checked.reasons == ["an output would be x itself"]


def test_refuses_before_operators_that_depend_on_strides():
    def function(x):
        return x.transpose(2, 3).contiguous().as_strided((1, 4, 7, 5), (140, 35, 5, 1))

    checked = check_pass(RemoveNoOps(), _Function(function), IMAGE)
    assert "contiguous" in checked.ops
    assert "depends on memory strides" in checked.reasons[0]


def _shuffle(x):
    y = x.view(x.shape[0], 2, 2, 5, 7).transpose(1, 2).contiguous()
    return y.view(x.shape[0], 4, 5, 7)


@pytest.mark.parametrize("dynamic", [False, True])
def test_channel_shuffle_loses_its_copy_once_views_are_reshapes(dynamic):
    module = _Function(_shuffle)
    checked = check_pass(
        RemoveNoOps(), module, IMAGE, dynamic=dynamic, before=(CanonicalReshape(),)
    )
    rest = [name for name in checked.ops if name != "sym_size"]
    assert rest == ["sigmoid", "reshape", "transpose", "reshape", "tanh"]


def test_canonical_reshape_fires_once():
    checked = check_pass(CanonicalReshape(), _Function(_shuffle), IMAGE)
    assert len(checked.result.rewrites) == 2
    assert "view" not in checked.ops


def test_canonical_reshape_refuses_a_view_that_is_written_to():
    def function(x):
        x.view(1, 4, 35).relu_()
        return x

    checked = check_pass(CanonicalReshape(), _Function(function), IMAGE)
    assert "view" in checked.ops
    assert checked.reasons == ["its memory is written to in place"]
