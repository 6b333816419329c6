"""Decide the artifact's name and folder from ``-o`` before any work starts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from cnn_export.atomic_commit import require_replaceable
from cnn_export.errors import DestinationError, UsageError
from cnn_export.manifest.manifest import manifest_path
from cnn_export.targets import TARGETS
from cnn_export.targets.base import Target

PACKAGE_SUFFIX = ".mlpackage"
"""The one artifact that is a folder."""

_SUFFIXES = {entry.suffix for entry in TARGETS.values()}


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where artifacts go: ``folder``/``stem`` + the target's suffix, or one exact file name."""

    folder: Path
    stem: str
    file_name: str | None = None

    def artifact(self, target: Target) -> Path:
        """Return the final path of a target's artifact."""
        return self.folder / (self.file_name or self.stem + target.suffix)


def plan_destination(output: Path | None, stem: str, targets: Sequence[Target]) -> Destination:
    """Read ``-o``: a name with the target's suffix is the file, anything else a folder.

    Raises:
        UsageError: a file name is given for several targets, or with another format's suffix.
        DestinationError: the folder cannot be written.
    """
    if output is None:
        destination = Destination(Path.cwd(), stem)
    elif output.suffix in _SUFFIXES:
        destination = _exact(output, stem, targets)
    else:
        destination = Destination(output, stem)
    try:
        _require_writable(destination.folder)
        for target in targets:
            artifact = destination.artifact(target)
            require_replaceable(artifact, is_package=target.suffix == PACKAGE_SUFFIX)
            require_replaceable(manifest_path(artifact), is_package=False)
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise DestinationError(
            f"cannot write to {output}: {error.strerror}; choose another with -o"
        ) from error
    return destination


def _exact(output: Path, stem: str, targets: Sequence[Target]) -> Destination:
    suffixes = [target.suffix for target in targets]
    if suffixes != [output.suffix]:
        raise UsageError(
            f"-o {output} names one {output.suffix} file, but the job makes "
            f"{', '.join(suffixes)}; give a folder"
        )
    return Destination(output.parent, stem, output.name)


def _require_writable(folder: Path) -> None:
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir():
        raise DestinationError(
            f"cannot write to {folder}: {existing} is not a folder; choose another with -o"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise DestinationError(f"cannot write to {folder}: no permission; choose another with -o")
