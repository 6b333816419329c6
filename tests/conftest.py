"""What every test shares."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

# Before torch is imported, here and in the processes that tests start: the networks are so small,
# and the workers so many, that threads only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

import effort
import exported
import networks
import pytest
import torch
import vendor_tables

# A shell starts background jobs with Ctrl-C ignored, and nohup ignores hang-ups; children inherit
# that. The tests of interruptions need both as they are in the foreground. (A handler, unlike
# "ignore", does not outlive exec.)
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, lambda *_: None)
torch.set_num_threads(1)
effort.load_hypothesis_profile()
gc.set_threshold(20_000, 20, 20)

vendor_tables.ask_torch_once_a_collection()
vendor_tables.share_the_history_of_nodes()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    vendor_tables.keep_what_new_packages_brought()


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped SkipNet in every format, only to be read."""
    return exported.made_once(tmp_path_factory, "shipped", exported.export_shipped) / "out"


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
