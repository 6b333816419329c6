"""What artifacts of unknown origin hold, read in a process of its own, within limits.

Damage is refused by the readers themselves. What they do not foresee, a file that takes all
memory, time without end, or the reader's life, ends here as a refusal as well. One process
imports what the formats take, once, and reads each file in a copy of itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cnn_export.artifact_files import formats
from cnn_export.artifact_files.op_graph import OpGraph
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.errors import InputRefused
from cnn_export.untrusted.artifact_digest import artifact_bytes
from cnn_export.untrusted.bounded_process import Limits, run_reader

_READERS = "cnn_export.artifact_files.bounded_readers"
_GB = 2**30
_BYTES_PER_BYTE = 8
"""Of memory for one of the file: a protobuf is read whole and copied for its shapes."""
_CPU_S = 60
"""Twenty times what the largest networks take."""
_ANSWER_BYTES = 2**26
_WATCHING_BYTES = 2**28
"""Of address space: the stacks of the threads that watch the copies, and their heaps."""


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What an artifact's own bytes tell.

    ``metadata`` are the string pairs inside. ``graph`` is ``None`` where the operators cannot be
    told, and ``unknown`` says why. ``split`` is how the file falls into partitions: as it says
    itself, or for ``.tflite`` as the runtime plans it here; ``None`` without operators, or
    where planning failed, and ``unplanned`` says why.
    """

    metadata: dict[str, str]
    graph: OpGraph | None
    unknown: str | None
    split: PartitionReport | None
    unplanned: str | None = None


def read_graphs(paths: Sequence[Path]) -> list[OpGraph]:
    """Return the operators of the artifact at each of ``paths``, read from the file alone.

    Raises:
        InputRefused: no such file, a foreign file type, or a damaged, truncated or incomplete
            artifact, or one that cannot be read within limits; names the file and what to do.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    return _read(paths, "graphs_of", list[OpGraph])


def inspect(paths: Sequence[Path], planning_bytes: int) -> list[Inspection]:
    """Return everything that the artifact at each of ``paths`` tells by itself.

    Planning the partitions of a ``.tflite`` allocates what is alive at once, and may take
    ``planning_bytes`` of memory more than reading: large maps are no damage.

    Raises:
        ExportError: as :func:`read_graphs`; but operators that cannot be told are no reason, nor
            are partitions that cannot be planned here.
    """
    return _read(paths, "inspections_of", list[Inspection], planning_bytes)


def _read(
    paths: Sequence[Path], reader: str, answer: Any, planning_bytes: int | None = None
) -> Any:
    if not paths:
        return []
    for path in paths:
        formats.require_readable(path)
    files = [(str(path), _GB + _BYTES_PER_BYTE * artifact_bytes(path)) for path in paths]
    found = run_reader(
        f"{_READERS}:{reader}",
        {"files": files, "folder": str(Path.cwd()), "cpu_s": _CPU_S}
        | ({} if planning_bytes is None else {"planning_bytes": planning_bytes}),
        path=paths[0],
        limits=Limits(
            memory_bytes=_WATCHING_BYTES
            + (planning_bytes or 0)
            + max(bytes_ for _, bytes_ in files),
            cpu_s=2 * _CPU_S * len(paths),
            answer_bytes=_ANSWER_BYTES * len(paths),
            libraries=True,
        ),
        first=list(_imports(paths, plans=planning_bytes is not None)),
    )
    return _validated(found, answer, paths)


def _imports(paths: Iterable[Path], plans: bool) -> Iterable[str]:
    """Yield what imports the readers of these files: their limits are to be the file's alone."""
    for suffix in dict.fromkeys(path.suffix for path in paths):
        yield f"{formats.reader_module(suffix)}:load_vendor"
        if plans and suffix == formats.PLANNED:
            yield f"{formats.reader_module(suffix)}:load_planner"


def _validated(found: Any, answer: Any, paths: Sequence[Path]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(answer).validate_python(found)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        path = paths[place[0]] if place and isinstance(place[0], int) else paths[0]
        raise InputRefused(
            f"{path} is damaged: its reader gave nonsense; export it again"
        ) from error
