"""A small network exported to every format, proven, each with its manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import networks

from cnn_export import export
from cnn_export.artifact_files.inspection import Inspection, inspect
from cnn_export.manifest.manifest import manifest_path
from cnn_export.targets import TARGETS

MEMBERS = (
    "Data/com.apple.CoreML/model.mlmodel",
    "Data/com.apple.CoreML/weights/weight.bin",
    "Manifest.json",
)
"""Files of a Core ML package."""


def export_all(folder: Path) -> None:
    """Export to every target."""
    shapes = {"image": (1, 3, 13, 18)}
    export(networks.small_net(), list(TARGETS), output=folder, shapes=shapes)


def exported_to(folder: Path) -> dict[str, Path]:
    """Return the artifact of each target that ``export_all`` wrote."""
    written = {name: list(folder.glob(f"*{target.suffix}")) for name, target in TARGETS.items()}
    return {name: file for name, (file,) in written.items()}


def copied(artifact: Path, folder: Path) -> Path:
    """Copy an artifact and its manifest; return the copy, in place of an earlier one."""
    target = folder / artifact.name
    if artifact.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(artifact, target)
    else:
        shutil.copyfile(artifact, target)
    shutil.copyfile(manifest_path(artifact), manifest_path(target))
    return target


def members(artifact: Path) -> list[Path]:
    """Return the files of an artifact: itself, or those of a package."""
    return [artifact / name for name in MEMBERS] if artifact.is_dir() else [artifact]


def inspected(path: Path) -> Inspection:
    (found,) = inspect([path], planning_bytes=2**30)
    return found
