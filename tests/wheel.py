"""The wheel of this tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = {"export": "cnn_export"} | {
    room: f"cnn_export.{room}" for room in ("reparam", "models", "benchmarks")
}
"""Folders at the top, and the packages that they are."""

_BUILD = "import sys, setuptools.build_meta as m; m.build_wheel(sys.argv[1])"


def built_wheel(folder: Path) -> Path:
    """Build it below ``folder``, from a copy: setuptools writes beside the sources."""
    source, built = folder / "source", folder / "wheel"
    built.mkdir()
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-c", _BUILD, str(built)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=300)
    (file,) = built.glob("*.whl")
    return file
