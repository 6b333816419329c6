"""Versions of vendor packages, or the line that installs them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

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
