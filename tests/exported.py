"""Artifacts that many tests only read, each made once for all the workers of a run."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cnn_export.__main__ import main

CHECKPOINT = Path(__file__).parents[1] / "models" / "checkpoints" / "skipnet_digits.pt"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``name`` that ``make`` fills, in whichever worker comes first."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, unfinished = shared / name, shared / f"{name}.unfinished"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def export_shipped(folder: Path) -> None:
    """Export the shipped checkpoint to every format by the command itself."""
    assert main([str(CHECKPOINT), "--target", "all", "-o", str(folder), "--quiet"]) == 0
