"""What :mod:`.bounded` calls in the process with limits: a path in, values of JSON out."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.coreml import package_graph
from cnn_export.artifact_files.onnx import reader
from cnn_export.artifact_files.partition_report import OutsideOp, PartitionReport
from cnn_export.artifact_files.tflite import partitions
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.formats import (
    cost_here,
    load_vendor,
    metadata_here,
    refusing_whatever_happens,
)
from cnn_export.errors import InputRefused, one_line


def load_tflite() -> None:
    """Import what reading and planning a ``.tflite`` file takes."""
    load_vendor(".tflite")
    partitions.load_vendor()


def load_onnx() -> None:
    """Import what reading an ``.onnx`` file takes."""
    load_vendor(".onnx")


def load_pte() -> None:
    """Import what reading a ``.pte`` file takes."""
    load_vendor(".pte")


def load_mlpackage() -> None:
    """Import what reading an ``.mlpackage`` takes."""
    load_vendor(".mlpackage")


def cost_of(path: str, folder: str) -> dict[str, Any]:
    """Return an :class:`ArtifactCost` as values of JSON; ``path`` is seen from ``folder``."""
    os.chdir(folder)
    return dataclasses.asdict(cost_here(Path(path)))


def inspection_of(path: str, folder: str) -> dict[str, Any]:
    """Return an :class:`~.bounded.Inspection` as values of JSON, less what is to be planned."""
    os.chdir(folder)
    file = Path(path)
    metadata = metadata_here(file)
    try:
        cost, unknown = cost_here(file), None
    except InputRefused as error:
        cost, unknown = None, str(error)
    split = _split(file, cost)
    return {
        "metadata": metadata,
        "cost": cost and dataclasses.asdict(cost),
        "unknown": unknown,
        "split": split and dataclasses.asdict(split),
    }


def planned_split_of(path: str, folder: str) -> dict[str, Any]:
    """Return how LiteRT plans the partitions of a ``.tflite`` file, as values of JSON.

    Raises:
        InputRefused: it does not plan them within these limits.
    """
    os.chdir(folder)
    try:
        return dataclasses.asdict(partitions.read(Path(path)))
    except Exception as error:  # of too little memory it says no more than of damage
        raise InputRefused(
            f"{path}: its partitions cannot be planned here ({one_line(error, 160)})"
        ) from error


def _split(path: Path, cost: ArtifactCost | None) -> PartitionReport | None:
    if cost is None or path.suffix == ".tflite":  # the latter is planned once the cost is known
        return None
    with refusing_whatever_happens(path):
        match path.suffix:
            case ".onnx":
                return reader.read_split(path)
            case ".mlpackage":
                return package_graph.read_split(path)
            case _:
                return _stated(cost)


def _stated(cost: ArtifactCost) -> PartitionReport:
    """Return the partitions that stand in the file itself."""
    outside = [op.kind for op in cost.ops if op.partition is None]
    return PartitionReport(
        delegate="XNNPACK",
        partitions=cost.partitions,
        delegated_ops=len(cost.ops) - len(outside),
        outside=tuple(OutsideOp(kind, outside.count(kind)) for kind in sorted(set(outside))),
    )
