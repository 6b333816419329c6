"""The runtimes of this host, found by an artifact's file type.

Each ``*_runtime.py`` of this folder holds one, as ``RUNTIME``; vendor packages load inside its
calls.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks.runtimes.contract import Runtime
from cnn_export.command_line.packages import require, require_all
from cnn_export.errors import InputRefused


def _found() -> dict[str, type[Runtime]]:
    names = sorted(file.stem for file in Path(__file__).parent.glob("*_runtime.py"))
    kinds: list[type[Runtime]] = [
        importlib.import_module(f"{__package__}.{name}").RUNTIME for name in names
    ]
    return {kind.suffix: kind for kind in sorted(kinds, key=lambda kind: kind.package)}


RUNTIMES: Mapping[str, type[Runtime]] = _found()
"""File type → runtime."""


def runtime_of(path: Path) -> Runtime:
    """Return the runtime for an artifact's file type.

    Raises:
        InputRefused: this host has no runtime for it, or the type is unknown.
    """
    kind = RUNTIMES.get(path.suffix)
    if kind is not None:
        return kind()
    if path.suffix == ".mlpackage":
        raise InputRefused(
            f"{path}: host timing has no Core ML runtime; leave .mlpackage artifacts out"
        )
    known = ", ".join(sorted(RUNTIMES))
    raise InputRefused(f"{path} is none of {known}; give an exported artifact")


def runtime_version(runtime: Runtime) -> str:
    """Return the installed version.

    Raises:
        TargetUnavailable: it is not installed; holds the install line.
    """
    return require(f"run-{runtime.target}", [runtime.package])[runtime.package]


def require_runtimes(packages: Iterable[str]) -> None:
    """Check that all is installed here to run and to read the files of these runtimes.

    Raises:
        TargetUnavailable: names all that is missing, and one line that installs it.
    """
    require_all(run_extras(packages))


def run_extras(packages: Iterable[str]) -> dict[str, Sequence[str]]:
    """Return the extras that run and read the files of these runtimes, and what each brings."""
    wanted = set(packages)
    kinds = [kind for kind in RUNTIMES.values() if kind.package in wanted]
    return {f"run-{kind.target}": kind.needs for kind in kinds}
