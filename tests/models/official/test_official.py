"""Official checkpoints from the file alone compute what the authors' code computes."""

from __future__ import annotations

from pathlib import Path

import official_files
import pytest
import torch

from cnn_export.source.load import load
from cnn_export.source.request import SourceRequest


@pytest.mark.parametrize("name", official_files.names_with_outputs())
def test_the_file_alone_gives_the_authors_outputs(name: str, tmp_path: Path) -> None:
    expected = official_files.outputs(name)
    source = load(SourceRequest(official_files.write_checkpoint(name, tmp_path)))
    network = source.module.double()
    with torch.inference_mode():
        logits = network(official_files.image(expected.input_shape)).flatten()
    assert float(logits.norm()) == pytest.approx(expected.norm, rel=1e-9)
    first = logits[: len(expected.logits)].tolist()
    assert first == pytest.approx(expected.logits, rel=1e-9, abs=1e-9 * expected.norm)


@pytest.mark.parametrize(("size", "same"), [((25, 32), True), ((33, 32), False), ((32, 48), False)])
def test_a_size_at_which_the_authors_pool_otherwise_is_noted(
    size: tuple[int, int], same: bool, tmp_path: Path
) -> None:
    """Of kuangliu's ResNet-18 at 33 pixels the authors' own logits differ by a fifth."""
    file = official_files.write_checkpoint("cifar_resnet18", tmp_path)
    notes = load(SourceRequest(file, input_size=size)).notes
    assert any("the outputs are not theirs" in note for note in notes) is not same
