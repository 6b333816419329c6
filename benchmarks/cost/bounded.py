"""Read artifacts of unknown origin in a process of its own, within limits.

Damage is refused by the readers themselves. What they do not foresee, a file that takes all
memory, time without end, or the reader's life, ends here as a refusal as well.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.benchmarks.cost import formats
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.devices.host.host_info import memory_bytes
from cnn_export.errors import InputRefused
from cnn_export.untrusted.artifact_digest import artifact_bytes
from cnn_export.untrusted.bounded_process import Limits, run_reader

_READERS = "cnn_export.benchmarks.cost.bounded_readers"
_GB = 2**30
_BYTES_PER_BYTE = 8
"""Of memory for one of the file: a protobuf is read whole and copied for its shapes."""
_CPU_S = 60
"""Twenty times what the largest networks take."""
_PLANNED = ".tflite"
"""Falls into partitions only where a runtime loads it."""
_ACTIVATIONS = 4
"""Of memory for one byte of the most that is alive at once: planning allocates them.

Measured: once is enough; a runtime may share less than the count does.
"""


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What an artifact's own bytes tell.

    ``metadata`` are the string pairs inside. ``cost`` is ``None`` where the operators cannot be
    told, and ``unknown`` says why. ``split`` is how the file falls into partitions: as it says
    itself, or for ``.tflite`` as the runtime plans it here; ``None`` without operators, or
    where planning failed, and ``unplanned`` says why.
    """

    metadata: dict[str, str]
    cost: ArtifactCost | None
    unknown: str | None
    split: PartitionReport | None
    unplanned: str | None = None


_COST = TypeAdapter(ArtifactCost)
_INSPECTION = TypeAdapter(Inspection)
_SPLIT = TypeAdapter(PartitionReport)


def read_cost(path: Path) -> ArtifactCost:
    """Return the cost of the artifact at ``path``, read from the file alone.

    Raises:
        InputRefused: no such file, a foreign file type, or a damaged, truncated or incomplete
            artifact, or one that cannot be read within limits; names the file and what to do.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    return _read(path, "cost_of", _COST)


def inspect(path: Path) -> Inspection:
    """Return everything that the artifact at ``path`` tells by itself.

    Raises:
        ExportError: as :func:`read_cost`; but operators that cannot be told are no reason, nor are
            partitions that cannot be planned here.
    """
    found: Inspection = _read(path, "inspection_of", _INSPECTION)
    if path.suffix != _PLANNED or found.cost is None:
        return found
    try:
        split = _read(path, "planned_split_of", _SPLIT, _activation_bytes(found.cost))
    except InputRefused as error:  # large maps are no damage
        return dataclasses.replace(found, unplanned=str(error))
    return dataclasses.replace(found, split=split)


def _activation_bytes(cost: ArtifactCost) -> int:
    """Return the memory that planning may take for activations: half of the machine's at most."""
    return min(_ACTIVATIONS * cost.peak_activation_bytes, memory_bytes() // 2)


def _read(path: Path, reader: str, answer: TypeAdapter[Any], more_bytes: int = 0) -> Any:
    """Return what ``reader`` finds with ``more_bytes`` of memory beyond what the file takes."""
    formats.require_readable(path)
    memory = _GB + _BYTES_PER_BYTE * artifact_bytes(path) + more_bytes
    limits = Limits(memory_bytes=memory, cpu_s=_CPU_S, libraries=True)
    place = f"{_READERS}:{reader}"
    first = f"{_READERS}:load_{path.suffix.removeprefix('.')}"
    arguments = {"path": str(path), "folder": str(Path.cwd())}
    found = run_reader(place, arguments, path=path, limits=limits, first=first)
    try:
        return answer.validate_python(found)
    except ValidationError as error:
        raise InputRefused(
            f"{path} is damaged: its reader gave nonsense; export it again"
        ) from error
