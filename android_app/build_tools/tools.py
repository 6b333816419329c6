"""Finds, installs and calls the programs of a build."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from build_tools.errors import BuildError

DEBIAN_PACKAGES: Mapping[str, str] = {
    "aapt2": "aapt",
    "zipalign": "zipalign",
    "apksigner": "apksigner",
    "dexdump": "dexdump",
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "npm": "npm",
}
"""Program → the Debian package that holds it."""

SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of a JVM that ends within seconds: a second compiler and more collectors take as much
again and are never paid back."""


def missing(names: Sequence[str]) -> list[str]:
    """Return the Debian packages of the programs that are not on the path."""
    absent = [name for name in names if shutil.which(name) is None]
    return list(dict.fromkeys(DEBIAN_PACKAGES[name] for name in absent))


def require(names: Sequence[str]) -> None:
    """Check that the programs are there.

    Raises:
        BuildError: holds the line that installs what is missing.
    """
    packages = missing(names)
    if packages:
        absent = ", ".join(name for name in names if shutil.which(name) is None)
        raise BuildError(f"{absent} not found: apt-get install --yes {' '.join(packages)}")


def install_tools() -> None:
    """``make app-tools``: install the missing Debian packages as root; nothing where all is there.

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


def call(argv: Sequence[str | Path], folder: Path | None = None) -> str:
    """Run a program; return what it wrote on its standard output.

    Raises:
        BuildError: it is missing or fails; holds the last lines of what it said.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, errors="replace", env=_environment()
        )
    except FileNotFoundError as error:
        raise BuildError(f"cannot start {words[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = " | ".join((done.stderr + done.stdout).split("\n")[:40]).strip(" |")
        raise BuildError(f"{Path(words[0]).name} failed with {done.returncode}: {said[:2000]}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Return an environment in which tools write the same text and times everywhere."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
