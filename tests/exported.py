"""Artifacts that many tests only read, each made once for all the workers of a run."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shlex
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


EXPORT = "cnn-export models/checkpoints/skipnet_digits.pt --target all --output out"
"""The command of the manual that exports the shipped checkpoint to every format."""


def export_shipped(folder: Path) -> None:
    """Run it in ``folder``, where ``printed.txt`` keeps what it says."""
    (folder / "models").symlink_to(CHECKPOINT.parents[1])
    (folder / "printed.txt").write_text(printed_by(EXPORT, folder), encoding="utf-8")


def printed_by(command: str, folder: Path) -> str:
    """Run a ``cnn-export`` in ``folder``, in this process, where converters are loaded by now."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(shlex.split(command)[1:]) == 0
    return printed.getvalue()
