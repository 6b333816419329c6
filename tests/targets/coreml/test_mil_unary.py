"""Elementwise MIL ops of one tensor against torch in float64."""

import pytest
import torch
from mil_checks import check_case, evaluate_cases, mb


def builder(kind):
    return lambda x: getattr(mb, kind)(x=x)


PLAIN = {
    kind: (builder(kind), reference)
    for kind, reference in {
        "abs": torch.abs,
        "atan": torch.atan,
        "ceil": torch.ceil,
        "cos": torch.cos,
        "cosh": torch.cosh,
        "erf": torch.erf,
        "exp": torch.exp,
        "exp2": torch.exp2,
        "floor": torch.floor,
        "identity": torch.clone,
        "round": torch.round,
        "sign": torch.sign,
        "sin": torch.sin,
        "sinh": torch.sinh,
        "square": torch.square,
        "tan": torch.tan,
        "tanh": torch.tanh,
    }.items()
}
LIMITED_DOMAIN = {
    "acos": (lambda unit: mb.acos(x=unit), torch.acos),
    "asin": (lambda unit: mb.asin(x=unit), torch.asin),
    "atanh": (lambda unit: mb.atanh(x=unit), torch.atanh),
    "sqrt": (lambda positive: mb.sqrt(x=positive), torch.sqrt),
}
OTHERS = {
    "cast": (lambda x: mb.cast(x=x, dtype="int32"), lambda x: x.trunc()),
    "clip": (lambda x: mb.clip(x=x, alpha=-0.5, beta=0.7), lambda x: x.clamp(-0.5, 0.7)),
    "inverse": (lambda x: mb.inverse(x=x, epsilon=0.25), lambda x: 1 / (x + 0.25)),
    "log": (
        lambda x: mb.log(x=mb.square(x=x), epsilon=0.3),
        lambda x: torch.log(x * x + 0.3),
    ),
    "logical_not": (
        lambda x: mb.cast(x=mb.logical_not(x=mb.greater(x=x, y=0.1)), dtype="fp32"),
        lambda x: (x <= 0.1).double(),
    ),
    "rsqrt": (
        lambda x: mb.rsqrt(x=mb.square(x=x), epsilon=0.3),
        lambda x: 1 / torch.sqrt(x * x + 0.3),
    ),
    "threshold": (lambda x: mb.threshold(x=x, alpha=0.2), lambda x: x.clamp(min=0.2)),
}
CASES = {**PLAIN, **LIMITED_DOMAIN, **OTHERS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "unary.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
