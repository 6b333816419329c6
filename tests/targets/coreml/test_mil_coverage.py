"""No kernel of the evaluator is without a case."""

import test_mil_activation
import test_mil_binary
import test_mil_convolution
import test_mil_creation
import test_mil_gathering
import test_mil_layout
import test_mil_linear
import test_mil_newer_systems
import test_mil_normalization
import test_mil_pooling
import test_mil_quantization
import test_mil_reduction
import test_mil_resizing
import test_mil_unary

from cnn_export.targets.coreml.operators.registry import KERNELS

TABLES = [
    test_mil_activation.CASES,
    test_mil_binary.CASES,
    test_mil_convolution.CASES,
    test_mil_creation.CASES,
    test_mil_gathering.CASES,
    test_mil_layout.CASES,
    test_mil_linear.CASES,
    test_mil_normalization.CASES,
    test_mil_pooling.CASES,
    test_mil_quantization.CASES,
    test_mil_reduction.CASES,
    test_mil_resizing.CASES,
    test_mil_unary.CASES,
]


def test_every_kernel_is_covered():
    covered = {name.split()[0] for cases in TABLES for name in cases}
    assert covered | test_mil_newer_systems.KINDS == KERNELS.keys()
