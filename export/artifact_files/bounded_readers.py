"""What :mod:`.inspection` calls in the process with limits: paths in, values of JSON out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.formats import (
    PLANNED,
    ArtifactFile,
    opened,
    refusing_whatever_happens,
)
from cnn_export.errors import InputRefused, one_line
from cnn_export.untrusted.bounded_process import Limits
from cnn_export.untrusted.rehearsal import in_copy

_Files = Sequence[tuple[str, int]]
"""Paths, and the bytes of memory that reading each may take."""


def graphs_of(files: _Files, folder: str, cpu_s: int) -> list[Any]:
    """Return the operators of each file, an ``OpGraph``; paths are seen from ``folder``."""
    os.chdir(folder)
    return [
        _in_copy(_graph, Path(path), Limits(memory, cpu_s, libraries=True))
        for path, memory in files
    ]


def inspections_of(files: _Files, folder: str, cpu_s: int, planning_bytes: int) -> list[Any]:
    """Return an :class:`~.inspection.Inspection` of each file."""
    os.chdir(folder)
    found: list[Any] = []
    for name, memory in files:
        path, limits = Path(name), Limits(memory, cpu_s, libraries=True)
        inspected = _in_copy(_inspection, path, limits)
        if path.suffix == PLANNED and inspected["graph"] is not None:
            more = limits._replace(memory_bytes=memory + planning_bytes)
            inspected |= _planned(path, more)
        found.append(inspected)
    return found


def _in_copy(work: Callable[[Path], Any], path: Path, limits: Limits) -> Any:
    return in_copy(lambda: work(path), path=path, limits=limits)


def _graph(path: Path) -> dict[str, Any]:
    with refusing_whatever_happens(path):
        return dataclasses.asdict(opened(path).graph())


def _inspection(path: Path) -> dict[str, Any]:
    """Return what the file tells, less the partitions that are to be planned."""
    with refusing_whatever_happens(path):
        file = opened(path)
        metadata = file.metadata()
    try:
        with refusing_whatever_happens(path):
            graph, unknown = dataclasses.asdict(file.graph()), None
    except InputRefused as error:
        graph, unknown = None, str(error)
    stated = graph is not None and path.suffix != PLANNED
    with refusing_whatever_happens(path):
        split = dataclasses.asdict(file.partitions()) if stated else None
    return {"metadata": metadata, "graph": graph, "unknown": unknown, "split": split}


def _planned(path: Path, limits: Limits) -> dict[str, Any]:
    """Return ``split``, or why nothing plans it within these limits."""
    try:
        return {"split": _in_copy(_plan, path, limits)}
    except InputRefused as error:  # large maps are no damage
        return {"unplanned": str(error)}


def _plan(path: Path) -> dict[str, Any]:
    try:
        file: ArtifactFile = opened(path)
        return dataclasses.asdict(file.partitions())
    except Exception as error:  # of too little memory it says no more than of damage
        raise InputRefused(
            f"{path}: its partitions cannot be planned here ({one_line(error, 160)})"
        ) from error
