"""No family takes another's checkpoint for its own, nor wants long to say so."""

from __future__ import annotations

import time

import official_files
import pytest

from cnn_export.models.registry import architectures

NAMES = sorted(file.stem for file in (official_files.FOLDER / "keys").glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_at_most_one_family_takes_a_file_for_its_own(name: str) -> None:
    listed = official_files.keys(name).tensors
    shapes = {tensor.removeprefix("module."): shape for tensor, shape in listed.items()}
    detectors = {a.name: a.detect for a in architectures().values()}
    claimed = [family for family, detect in detectors.items() if detect(shapes) is not None]
    assert len(claimed) <= 1
    start = time.process_time()
    for family, detect in detectors.items():
        if family not in claimed:
            detect(shapes)
    assert time.process_time() - start < 0.002 * len(detectors)
