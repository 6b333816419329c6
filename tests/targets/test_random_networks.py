"""Random networks through every format; each job proves its artifact or fails the test."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_cnn import random_cnn

from cnn_export import export
from cnn_export.quiet import quiet
from cnn_export.targets import TARGETS, load_target

# Conversion takes seconds, so few examples; the seeds are fixed to keep runs comparable.
EXAMPLES = {"onnx": 12, "tflite": 5, "coreml": 5, "executorch": 6}


@pytest.mark.parametrize("target", list(TARGETS))
def test_random_network(target: str) -> None:
    @settings(
        max_examples=EXAMPLES[target],
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.integers(min_value=0, max_value=10_000))
    def check(seed: int) -> None:
        network = random_cnn(seed)
        with tempfile.TemporaryDirectory() as folder:
            result = export(
                network.module, target, output=Path(folder), example_inputs=network.inputs
            )
            name = result.artifact.manifest.inputs[0].name
            image = torch.randn(
                network.inputs[0].shape, generator=torch.Generator().manual_seed(seed)
            )
            with quiet():
                session = load_target(target).load(result.artifact.path)
                (actual,) = session({name: image.numpy()}).values()
        with torch.no_grad():
            expected = network.module.double()(image.double()).numpy()
        error = np.abs(actual - expected).max() / np.sqrt(np.mean(expected**2))
        assert error < 5e-5, seed

    check()
