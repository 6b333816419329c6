"""The folder in which the pages' commands run: a checkout's, with the shipped network exported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from exported import EXPORT, printed_by
from page_runs import Place
from pages import ROOT, commands
from phone.adb_fixture import adb_server as adb_server


@pytest.fixture(scope="session")
def place(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What the manual's first block makes: ``shipped``, and the network as it was traced."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("models", "benchmarks"):
        (folder / room).symlink_to(ROOT / room)
    place = Place(folder)
    first, second, *_ = commands("benchmarks/README.md")
    assert first.text == EXPORT
    assert second.text.startswith("cnn-export")
    shutil.copytree(shipped, folder / "out")
    place.done[first] = (shipped.parent / "printed.txt").read_text(encoding="utf-8")
    place.done[second] = printed_by(second.text, folder)
    return place
