"""What every test shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networks
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The networks are so small, and the workers so many, that threads only wait."""
    torch.set_num_threads(1)
    return


@pytest.fixture
def small_checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of ``networks:SmallNet`` in a folder of its own."""
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "small.pt"
    torch.save(networks.small_net().state_dict(), path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to export into."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
