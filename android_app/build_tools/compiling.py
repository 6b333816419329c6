"""Compiles the app's sources."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from build_tools.layout import SOURCES
from build_tools.tools import SHORT_LIVED, call

RELEASE = "17"


def sources(*sets: str) -> list[Path]:
    """Return the Java files of some source sets, in order."""
    return sorted(file for name in sets for file in (SOURCES / name / "java").rglob("*.java"))


def compile_java(files: Sequence[Path], classpath: Sequence[Path], target: Path) -> None:
    """Compile into an emptied folder; every warning is an error.

    Raises:
        BuildError: the compiler's own lines.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    path = os.pathsep.join(map(str, classpath))
    options = ["-Xlint:all,-processing,-classfile", "-Werror", "-encoding", "UTF-8", "-proc:none"]
    classpath_option = ["-cp", path] if path else []
    jvm = [f"-J{option}" for option in SHORT_LIVED]
    call(["javac", *jvm, *options, "--release", RELEASE, "-d", target, *classpath_option, *files])
