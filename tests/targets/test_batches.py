"""A fixed batch above one, in every format."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from refused_twice import refused

from cnn_export import export
from cnn_export.errors import UsageError
from cnn_export.job.quiet import quiet
from cnn_export.targets import TARGETS, load_target

BATCH = 4
# Per image of 13 x 18: 3x3 from 3 to 8 channels, 3x3 depthwise on 8, linear from 8 to 6.
MACS = 13 * 18 * 8 * 3 * 9 + 13 * 18 * 8 * 9 + 8 * 6


@pytest.mark.parametrize("target", list(TARGETS))
def test_batch_of_four_runs_and_counts_per_image(target: str, out: Path) -> None:
    module = networks.small_net()
    shapes = {"image": (BATCH, 3, 13, 18)}
    artifact = export(module, target, output=out, shapes=shapes, batch=BATCH).artifact
    manifest = artifact.manifest
    assert [t.shape for t in (*manifest.inputs, *manifest.outputs)] == [
        [BATCH, 3, 13, 18],
        [BATCH, 6],
        [BATCH, 6],
    ]
    assert manifest.macs == MACS
    image = torch.randn(shapes["image"], generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected = module.double()(image.double())
    with quiet():
        actual = load_target(target).load(artifact.path)({"image": image.numpy()})
    for value, name in zip(expected, ("output_0", "output_1"), strict=True):
        assert actual[name].shape == (BATCH, 6)
        np.testing.assert_allclose(actual[name], value.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("target", list(TARGETS))
def test_the_batch_does_not_change_the_count(target: str, out: Path) -> None:
    shapes = {"image": (1, 3, 13, 18)}
    artifact = export(networks.small_net(), target, output=out, shapes=shapes).artifact
    assert artifact.manifest.macs == MACS


def test_a_batch_that_contradicts_the_shape_is_refused(out: Path) -> None:
    shapes = {"image": (2, 3, 13, 18)}
    error = refused(networks.small_net(), "onnx", out, shapes=shapes, batch=BATCH)
    assert isinstance(error, UsageError)
    assert "--batch 4 contradicts" in str(error)
