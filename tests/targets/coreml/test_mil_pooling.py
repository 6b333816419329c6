"""Pooling of MIL against torch in float64."""

import math

import pytest
import torch.nn.functional as F
from mil_checks import check_case, evaluate_cases, mb


def pool(kind, **arguments):
    return lambda x: getattr(mb, kind)(x=x, **{"kernel_sizes": [3, 2], **arguments})


# Padded to 9 × 7, the last windows end at 10 × 8: they overhang.
CEIL = {"kernel_size": 4, "stride": (3, 2), "padding": 1, "ceil_mode": True}
MIL_CEIL = {
    "kernel_sizes": [4, 4],
    "strides": [3, 2],
    "pad_type": "custom",
    "pad": [1, 1, 1, 1],
    "ceil_mode": True,
}
CASES = {
    "max_pool valid": (
        pool("max_pool", pad_type="valid", strides=[2, 1]),
        lambda x: F.max_pool2d(x, (3, 2), (2, 1)),
    ),
    "max_pool custom": (
        pool("max_pool", pad_type="custom", pad=[2, 0, 1, 0], strides=[1, 2]),
        lambda x: F.max_pool2d(F.pad(x, (1, 0, 2, 0), value=-math.inf), (3, 2), (1, 2)),
    ),
    "max_pool same": (
        pool("max_pool", kernel_sizes=[3, 3], pad_type="same", strides=[2, 2]),
        lambda x: F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-math.inf), 3, 2),
    ),
    "max_pool same_lower": (
        pool("max_pool", pad_type="same_lower", strides=[2, 2]),
        lambda x: F.max_pool2d(F.pad(x, (1, 0, 1, 1), value=-math.inf), (3, 2), 2),
    ),
    "max_pool ceil": (
        pool("max_pool", **MIL_CEIL),
        lambda x: F.max_pool2d(x, **CEIL),
    ),
    "avg_pool valid": (
        pool("avg_pool", pad_type="valid", strides=[2, 1]),
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1)),
    ),
    "avg_pool custom": (
        pool("avg_pool", pad_type="custom", pad=[2, 0, 1, 0], strides=[1, 2]),
        lambda x: F.avg_pool2d(F.pad(x, (1, 0, 2, 0)), (3, 2), (1, 2)),
    ),
    "avg_pool exclude": (
        pool(
            "avg_pool",
            pad_type="custom",
            pad=[1, 1, 1, 1],
            strides=[2, 2],
            exclude_padding_from_average=True,
        ),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, count_include_pad=False),
    ),
    # Windows that end with the padded map: nothing is disputed.
    "avg_pool ceil exclude": (
        pool("avg_pool", **{**MIL_CEIL, "strides": [5, 3]}, exclude_padding_from_average=True),
        lambda x: F.avg_pool2d(x, 4, (5, 3), 1, count_include_pad=False),
    ),
    "max_pool ceil plain": (
        pool("max_pool", pad_type="valid", strides=[3, 2], ceil_mode=True),
        lambda x: F.max_pool2d(x, (3, 2), (3, 2), ceil_mode=True),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "pooling.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
