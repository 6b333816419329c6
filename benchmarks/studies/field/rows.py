"""What one checkpoint came to: read from the job's own JSON, or from its one line of refusal."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnn_export.benchmarks.studies.field.ratios import Ratio

_OWN_ENDINGS = (0, 2, 3, 4)
"""Exit codes of ``cnn-export`` that say something of the checkpoint, not of the machine."""
_COMMAND_AND_FILE = re.compile(r"^cnn-export: (\S*/\S+: )?")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One target: ``refusal`` is empty where an artifact was written.

    ``relative_error`` is the largest of any probe and output, over the output's root mean square.
    ``bare`` is what the vendor's own call came to, and ``ratio`` the time in terms of another
    file's, where that was asked.
    """

    refusal: str = ""
    partitions: int | None = None
    outside: int = 0
    relative_error: float | None = None
    operators: int | None = None
    bare: Bare | None = None
    ratio: Ratio | None = None


@dataclasses.dataclass(frozen=True)
class Bare:
    """The vendor's own call on the same network: its file, or why there is none."""

    refusal: str = ""
    partitions: int = 0
    operators: int = 0


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a job's process ended: exit code, standard output (JSON) and error stream."""

    code: int
    output: str
    errors: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One checkpoint: ``network`` is what it was recognised as, empty where it was not."""

    file: str
    network: str
    refusal: str
    macs: int | None
    cells: dict[str, Cell]


def read_job(file: str, network: str, targets: tuple[str, ...], ended: Ended) -> Row:
    """Return the row of a job that ended by itself.

    Raises:
        ValueError: a signal ended it, or an internal error: that says nothing of the checkpoint.
    """
    lines = ended.errors.strip().splitlines()
    said = _COMMAND_AND_FILE.sub("", lines[-1]) if lines else f"exit {ended.code} without a word"
    if ended.code not in _OWN_ENDINGS:
        raise ValueError(f"{file}: {said}")
    if not ended.output:
        return Row(file, network, said, None, {t: Cell(refusal=said) for t in targets})
    result: Mapping[str, Any] = json.loads(ended.output)
    made = {each["manifest"]["target"]: each["manifest"] for each in result["artifacts"]}
    refusals = result["refusals"]
    cells = {
        target: _cell(made[target]) if target in made else Cell(str(refusals.get(target, said)))
        for target in targets
    }
    cells = {
        target: dataclasses.replace(
            cell, **_beside({kind: result.get(kind, {}).get(target) for kind in _BESIDE})
        )
        for target, cell in cells.items()
    }
    macs = next((manifest["macs"] for manifest in made.values()), None)
    return Row(file, network, "", macs, cells)


def open_targets(row: Row | None, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the targets of which nothing is known: not asked, or ended by the refusal of another.

    One call writes all of its artifacts or none.
    """
    cells = row.cells if row else {}
    return tuple(each for each in wanted if each not in cells or _ended_by_another(each, cells))


def _ended_by_another(target: str, cells: Mapping[str, Cell]) -> bool:
    named = cells[target].refusal.partition(": ")[0]
    return named in cells and named != target


def as_line(row: Row) -> str:
    """Return the row as one line of JSON."""
    return json.dumps(dataclasses.asdict(row))


def from_line(line: str) -> Row:
    """Read what :func:`as_line` wrote."""
    read = json.loads(line)
    return Row(cells={name: _read(cell) for name, cell in read.pop("cells").items()}, **read)


def merged(rows: Sequence[Row]) -> list[Row]:
    """Return one row a file: later rows add their cells to the first, or replace them."""
    found: dict[str, Row] = {}
    for row in rows:
        before = found.get(row.file, row)
        macs = row.macs if before.macs is None else before.macs
        cells = {**before.cells, **row.cells}
        found[row.file] = dataclasses.replace(before, macs=macs, cells=cells)
    return list(found.values())


def _read(cell: Mapping[str, Any]) -> Cell:
    plain = {name: value for name, value in cell.items() if name not in _BESIDE}
    return Cell(**plain, **_beside(cell))


_BESIDE: Mapping[str, Callable[..., Any]] = {"bare": Bare, "ratio": Ratio}


def _beside(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands beside the artifact's own figures, where it does."""
    return {name: kind(**held[name]) for name, kind in _BESIDE.items() if held.get(name)}


def _cell(manifest: Mapping[str, Any]) -> Cell:
    partitions, parity = manifest["partitions"], manifest["parity"]
    errors = [figure["relative_error"] for figure in parity["figures"]] if parity else []
    outside = sum(each["count"] for each in partitions["outside"]) if partitions else 0
    return Cell(
        partitions=partitions["partitions"] if partitions else None,
        outside=outside,
        relative_error=max(errors, default=None),
        operators=partitions["delegated_ops"] + outside if partitions else None,
    )
