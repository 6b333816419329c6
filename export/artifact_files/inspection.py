"""What artifacts of unknown origin hold, read in a process of its own, within limits.

Damage is refused by the readers themselves. What they do not foresee, a file that takes all
memory, time without end, or the reader's life, ends here as a refusal as well. One process
imports what the formats take, once, and reads each file in a copy of itself. Where the system makes
no such copies, each file is read, and each planned, in a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cnn_export.artifact_files import formats
from cnn_export.artifact_files.op_graph import OpGraph
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.errors import InputRefused
from cnn_export.untrusted.artifact_digest import artifact_bytes
from cnn_export.untrusted.bounded_process import Limits, run_reader
from cnn_export.untrusted.rehearsal import COPIES

_READERS = "cnn_export.artifact_files.bounded_readers"
_GB = 2**30
_BYTES_PER_BYTE = 8
"""Of memory for one of the file: a protobuf is read whole and copied for its shapes."""
_CPU_S = 60
"""Twenty times what the largest networks take."""
_ANSWER_BYTES = 2**26
_TIMES_KEPT = 4
"""At once, of an answer's text, in the process that collects them: read, and encoded again."""
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
    groups = [paths] if COPIES else [[path] for path in paths]
    return [graph for group in groups for graph in _read(group, "graphs_of", OpGraph)]


def inspect(paths: Sequence[Path], planning_bytes: int) -> list[Inspection]:
    """Return everything that the artifact at each of ``paths`` tells by itself.

    Planning the partitions of a ``.tflite`` allocates what is alive at once, and may take
    ``planning_bytes`` of memory more than reading: large maps are no damage.

    Raises:
        ExportError: as :func:`read_graphs`; but operators that cannot be told are no reason, nor
            are partitions that cannot be planned here.
    """
    if COPIES:
        return _read(paths, "inspections_of", Inspection, planning_bytes)
    return [_inspected_alone(path, planning_bytes) for path in paths]


def _inspected_alone(path: Path, planning_bytes: int) -> Inspection:
    """Return one file's inspection by a process for reading and, where due, one for planning."""
    (found,) = _read([path], "inspections_of", Inspection)
    if path.suffix != formats.PLANNED or found.graph is None:
        return found
    try:
        (plan,) = _read([path], "plans_of", dict[str, PartitionReport], planning_bytes)
    except InputRefused as error:
        return dataclasses.replace(found, unplanned=str(error))
    return dataclasses.replace(found, **plan)


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
        path=_one_of(paths),
        limits=Limits(
            memory_bytes=_WATCHING_BYTES
            + (planning_bytes or 0)
            + max(bytes_ for _, bytes_ in files)
            + _TIMES_KEPT * _ANSWER_BYTES * len(paths),
            cpu_s=2 * _CPU_S * len(paths),
            answer_bytes=2 * _ANSWER_BYTES * len(paths),
            libraries=True,
        ),
        first=list(_imports(paths, plans=planning_bytes is not None)),
    )
    return [_validated(texts, answer, path) for texts, path in zip(found, paths, strict=True)]


def _one_of(paths: Sequence[Path]) -> Path:
    """Return what a failure of the process that watches the copies names: no one file did it."""
    return paths[0] if len(paths) == 1 else Path(f"one of {', '.join(map(str, paths))}")


def _imports(paths: Iterable[Path], plans: bool) -> Iterable[str]:
    """Yield what imports the readers of these files: their limits are to be the file's alone."""
    for suffix in dict.fromkeys(path.suffix for path in paths):
        yield f"{formats.reader_module(suffix)}:load_vendor"
        if plans and suffix == formats.PLANNED:
            yield f"{formats.reader_module(suffix)}:load_planner"


def _validated(texts: Sequence[str], answer: Any, path: Path) -> Any:
    from pydantic import TypeAdapter

    try:
        told = {key: value for text in texts for key, value in json.loads(text).items()}
        return TypeAdapter(answer).validate_python(told)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputRefused(
            f"{path} is damaged: its reader gave nonsense; export it again"
        ) from error
