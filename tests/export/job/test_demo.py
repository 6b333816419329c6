"""The shipped checkpoint, from the repository's file to a timed and accurate artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from exported import CHECKPOINT

from cnn_export.__main__ import main
from cnn_export.benchmarks import cli
from cnn_export.job.quiet import quiet
from cnn_export.manifest.manifest import manifest_path, read_manifest
from cnn_export.models.training import digits
from cnn_export.targets import load_target

HELD_OUT = 360


@pytest.fixture(scope="module")
def demo(shipped: Path) -> Path:
    """The checkpoint exported to TFLite by the command itself."""
    return shipped / "skipnet_digits.tflite"


def test_the_artifact_can_be_timed(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    arguments = ["run", str(demo), "--repeats", "1", "--min-time", "50ms", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert "skipnet_digits.tflite" in capsys.readouterr().out


def test_the_artifact_has_the_checkpoint_s_held_out_accuracy(demo: Path) -> None:
    recorded = torch.load(CHECKPOINT, weights_only=True)["training"]["held_out_accuracy"]
    held_out = digits.load_digits(32)["held-out"]
    assert len(held_out) == HELD_OUT
    # The manifest alone must tell how to prepare an image.
    (declared,) = read_manifest(manifest_path(demo)).inputs
    assert declared.normalization is not None
    mean, std = (
        np.array(values, np.float32).reshape(3, 1, 1)
        for values in (declared.normalization.mean, declared.normalization.std)
    )
    with quiet():
        session = load_target("tflite").load(demo)
        images = (held_out.images.numpy() - mean) / std
        classes = [next(iter(session({declared.name: i[None]}).values())).argmax() for i in images]
    right = int((np.array(classes) == held_out.labels.numpy()).sum())
    assert right == round(recorded * HELD_OUT)


def test_explain_names_the_nodes_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(CHECKPOINT), "-t", "tflite", "--dry-run", "--explain"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    counts = next(line.split()[1] for line in lines if line.startswith("FoldAffineIntoProducer  "))
    fired = lines[lines.index("FoldAffineIntoProducer") + 1]
    assert fired.startswith("  fired at batch_norm, ")
    assert fired.count(",") == 4
    assert fired.endswith(f" and {int(counts) - 5} more")
