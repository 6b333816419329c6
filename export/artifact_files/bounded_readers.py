"""What :mod:`.inspection` calls in the process with limits: paths in, JSON out."""

from __future__ import annotations

import dataclasses
import json
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


def graphs_of(files: _Files, folder: str, cpu_s: int) -> list[list[str]]:
    """Return the operators of each file, an ``OpGraph``; paths are seen from ``folder``.

    This and the others return of each file texts of JSON, to be joined to one object: as text an
    answer takes no more memory here than its limit says.
    """
    os.chdir(folder)
    return [
        [_in_copy(_graph, Path(path), Limits(memory, cpu_s, libraries=True))]
        for path, memory in files
    ]


def inspections_of(
    files: _Files, folder: str, cpu_s: int, planning_bytes: int | None = None
) -> list[list[str]]:
    """Return an :class:`~.inspection.Inspection` of each file; without bytes none is planned."""
    os.chdir(folder)
    found: list[list[str]] = []
    for name, memory in files:
        path, limits = Path(name), Limits(memory, cpu_s, libraries=True)
        text, has_graph = _in_copy(_inspection, path, limits)
        found.append([text])
        if planning_bytes is not None and path.suffix == PLANNED and has_graph:
            try:
                found[-1].append(_planned(path, memory + planning_bytes, cpu_s))
            except InputRefused as error:  # large maps are no damage
                found[-1].append(json.dumps({"unplanned": str(error)}))
    return found


def plans_of(files: _Files, folder: str, cpu_s: int, planning_bytes: int) -> list[list[str]]:
    """Return the ``split`` of each file, as its runtime plans it."""
    os.chdir(folder)
    return [[_planned(Path(path), memory + planning_bytes, cpu_s)] for path, memory in files]


def _planned(path: Path, memory: int, cpu_s: int) -> str:
    return _in_copy(_plan, path, Limits(memory, cpu_s, libraries=True))


def _in_copy(work: Callable[[Path], Any], path: Path, limits: Limits) -> Any:
    return in_copy(lambda: work(path), path=path, limits=limits)


def _graph(path: Path) -> str:
    with refusing_whatever_happens(path):
        return json.dumps(dataclasses.asdict(opened(path).graph()))


def _inspection(path: Path) -> tuple[str, bool]:
    """Return what the file tells, less partitions to be planned, and whether it has a graph."""
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
    told = {"metadata": metadata, "graph": graph, "unknown": unknown, "split": split}
    return json.dumps(told), graph is not None


def _plan(path: Path) -> str:
    try:
        file: ArtifactFile = opened(path)
        return json.dumps({"split": dataclasses.asdict(file.partitions())})
    except Exception as error:  # of too little memory it says no more than of damage
        raise InputRefused(
            f"{path}: its partitions cannot be planned here ({one_line(error, 160)})"
        ) from error
