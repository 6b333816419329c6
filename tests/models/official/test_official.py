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
