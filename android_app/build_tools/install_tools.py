"""``make app-tools``: installs what the builds call, where that is allowed; else says how."""

from __future__ import annotations

import os
import shutil

from build_tools.errors import BuildError
from build_tools.tools import DEBIAN_PACKAGES, call, missing


def install_tools() -> None:
    """Install the missing Debian packages as root; nothing where all is there.

    Raises:
        BuildError: something is missing and cannot be installed from here; holds the line to type.
    """
    packages = missing(list(DEBIAN_PACKAGES))
    if not packages:
        return
    line = f"apt-get install --yes --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildError(f"{', '.join(packages)} missing; as root: {line}")
    # Another installation may be under way on the same machine.
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    try:
        call(["apt-get", *wait, *line.split()[1:]])
    except BuildError:
        # A machine made from an image knows of no packages until it asks.
        call(["apt-get", *wait, "update"])
        call(["apt-get", *wait, *line.split()[1:]])
