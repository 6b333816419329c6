"""Versions and folders of vendor packages, or the line that installs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from cnn_export.errors import TargetUnavailable


def require(extra: str, packages: Sequence[str]) -> dict[str, str]:
    """Return each package's version without importing it.

    Raises:
        TargetUnavailable: names the missing package and the extra that installs it.
    """
    versions: dict[str, str] = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise TargetUnavailable(
                f"{package} is not installed; run: pip install 'cnn-export[{extra}]'"
            ) from None
    return versions


def package_folder(package: str) -> Path:
    """Return where an installed package keeps its data, without importing it (and torch).

    Raises:
        TargetUnavailable: it has no folder of its own here.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        return Path(folder)
    raise TargetUnavailable(f"{package} is installed in no readable folder; install it again")
