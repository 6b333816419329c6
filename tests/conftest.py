"""What every test shares."""

from __future__ import annotations

import signal
from pathlib import Path

import networks
import pytest
import torch

# A shell starts background jobs with Ctrl-C ignored, and nohup ignores hang-ups; children inherit
# that. The tests of interruptions need both as they are in the foreground. (A handler, unlike
# "ignore", does not outlive exec.)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The networks are so small, and the workers so many, that threads only wait."""
    torch.set_num_threads(1)


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
