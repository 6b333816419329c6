"""Where a vendor's package lies, for its data files; importing it would load torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from cnn_export.errors import TargetUnavailable


def package_folder(package: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        TargetUnavailable: it has no folder of its own here.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        return Path(folder)
    raise TargetUnavailable(f"{package} is installed in no readable folder; install it again")
