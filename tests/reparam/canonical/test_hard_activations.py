"""RecoverHardActivations: every spelling in use, and the near misses."""

import pytest
import torch
from pass_checks import check_pass
from torch import nn
from torch.nn import functional as F

from cnn_export.reparam.passes.canonical.hard_activations import RecoverHardActivations
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace

IMAGE = torch.linspace(-7, 7, 2 * 3 * 5 * 7).reshape(2, 3, 5, 7)


class _Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.register_buffer("six", torch.tensor(6.0))

    def forward(self, x):
        return self.function(x.neg(), self)


SWISHES = {
    "divide last": lambda x, m: x * F.relu6(x + 3) / 6,
    "divide gate": lambda x, m: x * (F.relu6(x + 3.0) / 6.0),
    "gate first": lambda x, m: F.relu6(3 + x) / 6 * x,
    "multiply": lambda x, m: x * F.relu6(x + 3) * (1 / 6),
    "multiply gate": lambda x, m: (1 / 6) * F.relu6(x + 3) * x,
    "divide input": lambda x, m: x / 6 * F.relu6(x + 3),
    "hardtanh": lambda x, m: x * F.hardtanh(x + 3, 0, 6) / 6,
    "clamp": lambda x, m: x * torch.clamp(x + 3, 0.0, 6.0) / 6,
    "unit clamp": lambda x, m: x * (x / 6 + 0.5).clamp(0, 1),
    "unit hardtanh": lambda x, m: x * F.hardtanh(x * (1 / 6) + 0.5, 0.0, 1.0),
    "torch hard sigmoid": lambda x, m: x * F.hardsigmoid(x),
    "shift before scale": lambda x, m: x * ((x + 3) / 6).clamp(0, 1),
    "two one-sided clips": lambda x, m: x * F.relu(x + 3).clamp(max=6) / 6,
    "decomposed by torch": lambda x, m: x * (x + 3).clamp(min=0).clamp(max=6) / 6,
    "factor outside": lambda x, m: (1 / 6) * (x * F.relu6(x + 3)),
    "split factor": lambda x, m: (x / 2) * F.relu6(x + 3) / 3,
    "difference": lambda x, m: x * (x - (-3)).clamp(0, 6) / 6,
    "stored six": lambda x, m: x * F.relu6(x + 3) / m.six,
}
SIGMOIDS = {
    "divide": lambda x, m: F.relu6(x + 3) / 6,
    "multiply": lambda x, m: F.relu6(x + 3) * (1 / 6),
    "clamp": lambda x, m: (x + 3).clamp(0, 6).div(6),
    "unit clamp": lambda x, m: (x / 6 + 0.5).clamp(0, 1),
    "unit clamp of a shift": lambda x, m: ((x + 3) * (1 / 6)).clamp(0, 1),
    "offset first": lambda x, m: torch.clamp(0.5 + x / 6, 0, 1),
    "multiplied relu6": lambda x, m: (1 / 6) * F.relu6(3 + x),
    "halves": lambda x, m: F.hardtanh(x / 3, -1, 1) / 2 + 0.5,
    "one-sided clamps": lambda x, m: (x + 3).clamp_min(0).clamp_max(6) / 6,
    "negations": lambda x, m: -((-x / 6 - 0.5).clamp(-1, 0)),
    "reversed difference": lambda x, m: torch.rsub(torch.rsub(x, 3).clamp(0, 6), 6) / 6,
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", SWISHES)
def test_recovers_hard_swish(case, dynamic):
    module = _Function(SWISHES[case])
    image = IMAGE[:1] if dynamic else IMAGE
    checked = check_pass(RecoverHardActivations(), module, image, dynamic=dynamic)
    assert checked.ops == ["neg", "hardswish"]
    assert "stack_trace" in next(
        node.meta for node in checked.graph_module.graph.nodes if node.name.startswith("hardswish")
    )


@pytest.mark.parametrize("case", SIGMOIDS)
def test_recovers_hard_sigmoid(case):
    checked = check_pass(RecoverHardActivations(), _Function(SIGMOIDS[case]), IMAGE)
    assert checked.ops == ["neg", "hardsigmoid"]


def test_recovers_from_in_place_spelling():
    checked = check_pass(
        RecoverHardActivations(),
        _Function(lambda x, m: x * F.relu6(x + 3, inplace=True) / 6),
        IMAGE,
        before=(FunctionalizeInplace(),),
    )
    assert checked.ops == ["neg", "hardswish"]


def test_gate_of_another_value_is_a_hard_sigmoid_only():
    checked = check_pass(
        RecoverHardActivations(), _Function(lambda x, m: (x + 1) * (F.relu6(x + 3) / 6)), IMAGE
    )
    assert checked.ops == ["neg", "add", "hardsigmoid", "mul"]


NEAR_MISSES = {
    "other shift": (
        lambda x, m: F.relu6(x + 2) / 6,
        "clip(0.166666667·x + 0.333333333, 0, 1) is no hard sigmoid",
    ),
    "rounded sixth": (
        lambda x, m: F.relu6(x + 3) * 0.16667,
        "clip(0.16667·x + 0.50001, 0, 1.00002) is no hard sigmoid",
    ),
    "rounded sixth in swish": (lambda x, m: x * F.relu6(x + 3) * 0.16667, "no hard swish"),
    "fifth": (lambda x, m: x * F.relu6(x + 3) / 5, "no hard swish"),
    "inner value read": (
        lambda x, m: ((y := F.relu6(x + 3)) / 6) + y,
        "relu6 is also read: add_1, div",
    ),
    "gate in place": (lambda x, m: x * F.relu6(x + 3, inplace=True) / 6, None),
    "input in place": (
        lambda x, m: (x * F.relu6(x + 3) / 6) + x.add_(1),
        "neg is written to in place",
    ),
    "broadcast": (lambda x, m: x * F.hardsigmoid(x.half()), None),
    "relu": (lambda x, m: F.relu(x + 3) / 6, None),
    "clip to one": (lambda x, m: torch.clamp(x + 3, 0, 1) / 6, None),
    "one-sided clamp": (lambda x, m: torch.clamp(x + 3, min=0) / 6, None),
    "rounded quotient": (
        lambda x, m: torch.div(F.relu6(x + 3), 6, rounding_mode="floor"),
        None,
    ),
    "quotient turned round": (lambda x, m: 6 / (F.relu6(x + 3) + 1), None),
    "unit clamp of another slope": (
        lambda x, m: (x / 5 + 0.5).clamp(0, 1),
        "clip(0.2·x + 0.5, 0, 1) is no hard sigmoid",
    ),
    "far from it": (lambda x, m: (x / 2 + 0.5).clamp(0, 1), None),
    "crossed bounds": (lambda x, m: (x / 6 + 0.5).clamp(1, 0), None),
    "negative factor": (lambda x, m: x * F.relu6(x + 3) * (-1 / 6), None),
    "input read through another tensor": (lambda x, m: (x + m.six) * (x / 6 + 0.5).relu(), None),
}


@pytest.mark.parametrize("case", NEAR_MISSES)
def test_leaves_near_misses(case):
    function, reason = NEAR_MISSES[case]
    checked = check_pass(RecoverHardActivations(), _Function(function), IMAGE)
    assert not checked.result.modified
    if reason is None:
        assert checked.reasons == []
    else:
        assert any(reason in each for each in checked.reasons)
