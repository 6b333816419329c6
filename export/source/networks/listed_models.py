"""The list of models: what ``--list-models`` shows, read from a file that was made from the tables.

No torch here; the file is written by
``python -m cnn_export.benchmarks.studies.recognition.list_of_models``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("listed_models.json")
_NUMBER = 9


@dataclasses.dataclass(frozen=True)
class ListedModel:
    """One network of the list.

    ``name`` is what its authors call it, ``model`` and ``arguments`` are what ``--model`` and
    ``--model-arg`` say. ``params_m`` and ``macs_m`` are millions, counted here for families of this
    package and torchvision's own figures for its networks; ``macs_m`` are for one image of
    ``input_size`` (channels, height, width). ``top1_percent`` is ImageNet's as published in
    ``source``. What nobody states is None.
    """

    name: str
    model: str
    arguments: Mapping[str, Any]
    source: str
    params_m: float | None
    macs_m: float | None
    input_size: Sequence[int]
    top1_percent: float | None


@functools.cache
def listed_models() -> tuple[ListedModel, ...]:
    """Return the list: this package's families, then torchvision's."""
    return tuple(ListedModel(**row) for row in json.loads(PATH.read_text("utf-8")))


def written(rows: Sequence[ListedModel]) -> None:
    """Write the list, one network a line."""
    lines = [json.dumps(dataclasses.asdict(row), ensure_ascii=False) for row in rows]
    PATH.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


def as_json() -> str:
    """Return the list as one JSON document."""
    return json.dumps([dataclasses.asdict(row) for row in listed_models()], indent=2)


def as_text() -> str:
    """Return the list as a table."""
    rows = [_cells(row) for row in listed_models()]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(2)]
    return "\n".join(_lines([_HEAD, *rows], widths))


_HEAD = ("name", "--model", "params", "MACs", "input", "top-1", "source")


def _cells(row: ListedModel) -> tuple[str, ...]:
    given = ",".join(f"{key}={_spelled(value)}" for key, value in row.arguments.items())
    return (
        row.name,
        f"{row.model} {given}".rstrip(),
        _millions(row.params_m),
        _millions(row.macs_m),
        "x".join(map(str, row.input_size)),
        "" if row.top1_percent is None else f"{row.top1_percent:.2f} %",
        row.source,
    )


def _lines(rows: Sequence[tuple[str, ...]], widths: Sequence[int]) -> Iterator[str]:
    for name, model, params, macs, size, top1, source in rows:
        numbers = f"{params:>{_NUMBER}}  {macs:>{_NUMBER}}  {size:<11}  {top1:>7}"
        yield f"{name:<{widths[0]}}  {model:<{widths[1]}}  {numbers}  {source}".rstrip()


def _spelled(value: object) -> str:
    return json.dumps(value, separators=(",", ":")).strip('"')


def _millions(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:.0f} M" if number >= 100 else f"{number:.3g} M"
