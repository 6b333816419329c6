"""Elementwise MIL ops of several tensors against torch in float64."""

import pytest
import torch
from mil_checks import check_case, evaluate_cases, mb


def binary_builder(kind):
    return lambda x, y: getattr(mb, kind)(x=x, y=y)


def comparison_builder(kind):
    return lambda whole, other: mb.cast(x=getattr(mb, kind)(x=whole, y=other), dtype="fp32")


def logic_builder(kind):
    def build(whole, other):
        signs = mb.greater(x=whole, y=0.0), mb.greater(x=other, y=0.0)
        return mb.cast(x=getattr(mb, kind)(x=signs[0], y=signs[1]), dtype="int32")

    return build


BINARY = {
    kind: (binary_builder(kind), reference)
    for kind, reference in {
        "add": torch.add,
        "floor_div": lambda x, y: torch.floor(x / y),
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "mod": torch.remainder,
        "mul": torch.mul,
        "real_div": torch.div,
        "sub": torch.sub,
    }.items()
}
COMPARISONS = {
    kind: (comparison_builder(kind), lambda a, b, f=reference: f(a, b).double())
    for kind, reference in {
        "equal": torch.eq,
        "greater": torch.gt,
        "greater_equal": torch.ge,
        "less": torch.lt,
        "less_equal": torch.le,
        "not_equal": torch.ne,
    }.items()
}
LOGIC = {
    kind: (logic_builder(kind), lambda a, b, f=reference: f(a > 0, b > 0).int())
    for kind, reference in {
        "logical_and": torch.logical_and,
        "logical_or": torch.logical_or,
        "logical_xor": torch.logical_xor,
    }.items()
}
OTHERS = {
    "pow": (lambda x: mb.pow(x=mb.square(x=x), y=1.3), lambda x: (x * x) ** 1.3),
    "select": (
        lambda x: mb.select(cond=mb.greater(x=x, y=0.0), a=x, b=mb.square(x=x)),
        lambda x: torch.where(x > 0, x, x * x),
    ),
}
CASES = {**BINARY, **COMPARISONS, **LOGIC, **OTHERS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "binary.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
