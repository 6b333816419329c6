"""Official checkpoints from the file alone to artifacts: two by default, every one in the whole."""

from __future__ import annotations

from pathlib import Path

import official_files
import pytest
from effort import THOROUGH

import cnn_export
from cnn_export.targets import TARGETS

TWO = ("acnet_cfqk", "cifar_mbv1")
UNREADY = {
    ("mf_kath", "executorch"),  # its attention is off by more than float32's rounding
    ("mf_kath_151", "executorch"),
}
CASES = [
    (name, target)
    for name in (official_files.names_with_outputs() if THOROUGH else TWO)
    for target in (sorted(TARGETS) if THOROUGH else ("tflite",))
    if (name, target) not in UNREADY
]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_the_file_alone_becomes_an_artifact(name: str, target: str, tmp_path: Path) -> None:
    """Written at all means equal: the exporter proves it against the network that was loaded."""
    (tmp_path / "in").mkdir()
    checkpoint = official_files.write_checkpoint(name, tmp_path / "in")
    _, channels, height, width = official_files.outputs(name).input_shape
    result = cnn_export.export(checkpoint, target, output=tmp_path, input_size=(height, width))
    (artifact,) = result.artifacts
    assert artifact.path.exists()
    assert artifact.manifest.parity.figures
    assert artifact.manifest.inputs[0].shape == [1, channels, height, width]
