"""What one checkpoint came to: read from the job's own JSON, or from its one line of refusal."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

_RECOGNISED = re.compile(r"recognised as (.*)")
_COMMAND_AND_FILE = re.compile(r"^cnn-export: (\S*/\S+: )?")
_NOT_RECOGNISED = 4
"""``cnn-export``'s exit code for a checkpoint that it cannot make a network of."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One target: ``refusal`` is empty where an artifact was written.

    ``relative_error`` is the largest of any probe and output, over the output's root mean square.
    """

    refusal: str = ""
    partitions: int | None = None
    outside: int = 0
    relative_error: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One checkpoint: ``network`` is what it was recognised as, empty where it was not."""

    file: str
    network: str
    refusal: str
    macs: int | None
    cells: dict[str, Cell]


def read_job(file: str, targets: tuple[str, ...], code: int, output: str, errors: str) -> Row:
    """Return the row of a job by its exit code, its standard output (JSON) and error stream."""
    lines = errors.strip().splitlines()
    said = _COMMAND_AND_FILE.sub("", lines[-1]) if lines else f"exit {code} without a word"
    try:
        result: Mapping[str, Any] = json.loads(output)
    except ValueError:
        network = _network(lines) if code != _NOT_RECOGNISED else ""
        return Row(file, network, said, None, {t: Cell(refusal=said) for t in targets})
    made = {each["manifest"]["target"]: each["manifest"] for each in result["artifacts"]}
    refusals = result["refusals"]
    cells = {
        target: _cell(made[target]) if target in made else Cell(str(refusals.get(target, said)))
        for target in targets
    }
    macs = next((manifest["macs"] for manifest in made.values()), None)
    return Row(file, _network(result["notes"]), "", macs, cells)


def as_line(row: Row) -> str:
    """Return the row as one line of JSON."""
    return json.dumps(dataclasses.asdict(row))


def from_line(line: str) -> Row:
    """Read what :func:`as_line` wrote."""
    read = json.loads(line)
    cells = {target: Cell(**cell) for target, cell in read.pop("cells").items()}
    return Row(cells=cells, **read)


def _network(notes: list[str]) -> str:
    found = (_RECOGNISED.search(note) for note in notes)
    return next((match[1] for match in found if match), "")


def _cell(manifest: Mapping[str, Any]) -> Cell:
    partitions, parity = manifest["partitions"], manifest["parity"]
    errors = [figure["relative_error"] for figure in parity["figures"]] if parity else []
    return Cell(
        partitions=partitions["partitions"] if partitions else None,
        outside=len(partitions["outside"]) if partitions else 0,
        relative_error=max(errors, default=None),
    )
