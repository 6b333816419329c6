"""The folder in which the pages' commands run: a checkout's, with the shipped network exported."""

from __future__ import annotations

import pytest
from page_runs import Place
from pages import ROOT, commands
from phone.adb_fixture import adb_server as adb_server


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What the manual's first block makes."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("models", "benchmarks"):
        (folder / room).symlink_to(ROOT / room)
    place = Place(folder)
    first, second, *_ = commands("benchmarks/README.md")
    assert first.text.startswith("cnn-export")
    assert second.text.startswith("cnn-export")
    place.run(first)
    place.run(second)
    return place
