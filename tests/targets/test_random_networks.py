"""Random networks through every format: proven equal, or an operator refused by name.

Nothing else may happen: no parity failure, no internal error.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from effort import examples
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from random_cnn import RandomCNN, random_cnn

from cnn_export import export
from cnn_export.errors import OperatorRefused
from cnn_export.job.quiet import quiet
from cnn_export.targets import TARGETS, load_target

# Conversion takes seconds, so few examples.
EXAMPLES = {"onnx": examples(10)} | dict.fromkeys(("tflite", "coreml", "executorch"), examples(6))
# What the generator makes and some format lacks; a refusal must name one of them.
MISSING_SOMEWHERE = ("adaptive_max_pool2d", "aten.pad", "MaxPool")


@pytest.mark.parametrize("target", list(TARGETS))
def test_random_network(target: str) -> None:
    proven: list[int] = []
    refused: list[str] = []

    # A smaller seed is no simpler network.
    @settings(max_examples=EXAMPLES[target], phases=[Phase.generate])
    @given(st.integers(min_value=0, max_value=10_000))
    def check(seed: int) -> None:
        try:
            error = exported_error(random_cnn(seed), target)
        except OperatorRefused as refusal:
            refused.append(str(refusal))
            return
        assert error < 5e-5
        proven.append(seed)

    check()
    assert [r for r in refused if not any(name in r for name in MISSING_SOMEWHERE)] == []
    assert len(proven) >= EXAMPLES[target] / 2


def exported_error(network: RandomCNN, target: str) -> float:
    """Export, run the file on a fresh input, and return the error over the output's RMS."""
    with tempfile.TemporaryDirectory() as folder:
        result = export(network.module, target, output=Path(folder), example_inputs=network.inputs)
        name = result.artifact.manifest.inputs[0].name
        generator = torch.Generator().manual_seed(network.seed)
        image = torch.randn(network.inputs[0].shape, generator=generator)
        with quiet():
            session = load_target(target).load(result.artifact.path)
            (actual,) = session({name: image.numpy()}).values()
    with torch.no_grad():
        expected = network.module.double()(image.double()).numpy()
    return float(np.abs(actual - expected).max() / np.sqrt(np.mean(expected**2)))
