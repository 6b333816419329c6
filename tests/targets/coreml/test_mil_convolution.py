"""Convolutions of MIL against torch in float64."""

import pytest
import torch.nn.functional as F
from mil_checks import check_case, evaluate_cases, mb, normal, t

WEIGHT = normal(4, 3, 3, 2, seed=21)  # groups of 2
TRANSPOSED = normal(6, 2, 3, 2, seed=22)
BIAS = normal(4, seed=23)


def conv(**arguments):
    return lambda x: mb.conv(x=x, weight=WEIGHT, bias=BIAS, groups=2, **arguments)


def conv_reference(pads, **arguments):
    return lambda x: F.conv2d(F.pad(x, pads), t(WEIGHT), t(BIAS), groups=2, **arguments)


def conv_transpose(**arguments):
    return lambda x: mb.conv_transpose(x=x, weight=TRANSPOSED, bias=BIAS, groups=2, **arguments)


CASES = {
    "conv valid": (
        conv(pad_type="valid", strides=[2, 1]),
        conv_reference((0, 0, 0, 0), stride=(2, 1)),
    ),
    "conv custom": (
        conv(pad_type="custom", pad=[2, 0, 1, 3], dilations=[1, 2]),
        conv_reference((1, 3, 2, 0), dilation=(1, 2)),
    ),
    # 7 rows at stride 2 make 4: (4 − 1)·2 + 3 − 7 = 2 to pad; 5 columns at stride 2 make 3: 1, or 2
    # where the kernel's two columns lie two apart.
    "conv same": (
        conv(pad_type="same", strides=[2, 2], dilations=[1, 2]),
        conv_reference((1, 1, 1, 1), stride=(2, 2), dilation=(1, 2)),
    ),
    "conv same_lower": (
        conv(pad_type="same_lower", strides=[2, 2]),
        conv_reference((1, 0, 1, 1), stride=(2, 2)),
    ),
    "conv_transpose valid": (
        conv_transpose(strides=[2, 3]),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), (2, 3), groups=2),
    ),
    "conv_transpose custom": (
        conv_transpose(strides=[2, 1], dilations=[1, 2], pad_type="custom", pad=[1, 1, 1, 1]),
        lambda x: F.conv_transpose2d(
            x, t(TRANSPOSED), t(BIAS), (2, 1), 1, groups=2, dilation=(1, 2)
        ),
    ),
    "conv_transpose shape": (
        conv_transpose(
            strides=[2, 2], pad_type="custom", pad=[1, 1, 0, 0], output_shape=[2, 4, 14, 11]
        ),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), 2, (1, 0), (1, 1), groups=2),
    ),
    "conv_transpose same": (
        conv_transpose(strides=[2, 2], pad_type="same"),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), 2, groups=2)[:, :, :14, :10],
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "convolution.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
