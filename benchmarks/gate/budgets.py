"""``budgets.toml``: what artifacts may cost. Read with every typo named.

A ``[[budget]]`` selects by globs (``artifact``, ``model``, ``target``, ``precision``, ``device``,
``runtime``, ``threads``; left out: everything) and bounds at least one figure, all from above.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnn_export.errors import InputRefused, nearest, one_line
from cnn_export.untrusted.regular_file import read_bytes

_MAX_BYTES = 2**20
_TABLE = "budget"
_SLIGHT = "allow_slight_regression"
_SHOWN = 60
"""Characters of a wrong value in a message."""
_NAMES_SHOWN = 6

Limit = Annotated[float, Field(gt=0, le=1e12)]
Count = Annotated[int, Field(ge=0, le=10**18)]
Glob = Annotated[str, Field(max_length=200)]

SELECTORS = ("artifact", "model", "target", "precision", "device", "runtime", "threads")
BOUNDS: dict[str, str] = {
    "latency_ms": "ms",
    "latency_p90_ms": "ms",
    "load_ms": "ms",
    "regression_percent": "%",
    "peak_memory_bytes": "bytes",
    "file_bytes": "bytes",
    "macs": "MACs",
    "mac_bytes": "bytes",
    "partitions": "",
}
"""Every bound with its unit."""


class Budget(BaseModel):
    """One ``[[budget]]``; ``threads`` may be a whole number or a glob of its digits.

    Without ``allow_slight_regression``, whatever is shown to be slower is missed, by how little
    ever.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    artifact: Glob | None = None
    model: Glob | None = None
    target: Glob | None = None
    precision: Glob | None = None
    device: Glob | None = None
    runtime: Glob | None = None
    threads: Annotated[int, Field(ge=1, le=10_000)] | Glob | None = None
    latency_ms: Limit | None = None
    latency_p90_ms: Limit | None = None
    load_ms: Limit | None = None
    regression_percent: Annotated[float, Field(ge=0, le=1e6)] | None = None
    peak_memory_bytes: Count | None = None
    file_bytes: Count | None = None
    macs: Count | None = None
    mac_bytes: Count | None = None
    partitions: Count | None = None
    allow_slight_regression: bool = True

    @property
    def bounds(self) -> dict[str, float]:
        """The figures it bounds, each with its limit."""
        limits = ((name, getattr(self, name)) for name in BOUNDS)
        return {name: limit for name, limit in limits if limit is not None}

    @property
    def selection(self) -> str:
        """Its globs in words."""
        globs = ((name, getattr(self, name)) for name in SELECTORS)
        return ", ".join(f"{name} {glob}" for name, glob in globs if glob is not None) or "all"

    def selects(self, attributes: dict[str, tuple[str, ...]]) -> bool:
        """Whether every glob fits one of the names that ``attributes`` gives for its selector.

        An attribute without names, such as the device of a file that did not run, fits no glob.
        """
        return all(
            any(fnmatchcase(name, str(glob)) for name in attributes[selector])
            for selector in SELECTORS
            if (glob := getattr(self, selector)) is not None
        )

    def names_there_were(self, attributes: Sequence[dict[str, tuple[str, ...]]]) -> str:
        """Return, for each of its globs, what it could have fitted."""
        asked = [name for name in SELECTORS if getattr(self, name) is not None]
        found = {name: sorted({each for one in attributes for each in one[name]}) for name in asked}
        return "; ".join(f"{name}: {_few(names)}" for name, names in found.items())


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{', '.join(names[:_NAMES_SHOWN])}{more}" if names else "none"


def read_budgets(path: Path) -> list[Budget]:
    """Read a budget file.

    Raises:
        InputRefused: it is no regular file, cannot be read, is no TOML, has an unknown key (the
            nearest is named), a value of the wrong type or sign, or a budget without a bound.
    """
    try:
        return parse_budgets(_text(path))
    except RecursionError:
        raise InputRefused(f"{path}: values are nested too deeply; write plain budgets") from None
    except ValueError as error:
        raise InputRefused(f"{path}: {one_line(error)}") from error


def parse_budgets(text: str) -> list[Budget]:
    """Return the budgets of a TOML document.

    Raises:
        ValueError: as :func:`read_budgets` refuses.
    """
    document = tomllib.loads(text)
    for key in document:
        if key != _TABLE:
            raise ValueError(f"unknown key {key!r}; a budget file holds [[{_TABLE}]] tables only")
    tables = document.get(_TABLE, [])
    if not isinstance(tables, list):
        raise ValueError(f"write [[{_TABLE}]] with two brackets: there may be several")
    if not tables:
        raise ValueError(f"there is no [[{_TABLE}]] in it; a gate without budgets proves nothing")
    return [_budget(number, table) for number, table in enumerate(tables, start=1)]


def _budget(number: int, table: Any) -> Budget:
    try:
        budget = Budget.model_validate(table)
    except ValidationError as error:
        raise ValueError(f"budget {number}: {_complaint(error)}") from None
    if not budget.allow_slight_regression and budget.regression_percent is None:
        raise ValueError(f"budget {number}: {_SLIGHT} is about regression_percent; give it as well")
    if not budget.bounds:
        raise ValueError(f"budget {number} has no bound; give one of {', '.join(BOUNDS)}")
    return budget


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else "the table"
    if first["type"] == "extra_forbidden":
        known = (*SELECTORS, *BOUNDS, _SLIGHT)
        return f"unknown key {key!r}.{nearest(key, known) or ' Known: ' + ', '.join(known)}"
    given = repr(first["input"])
    given = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    message = first["msg"].removeprefix("Input should be ")
    return f"{key} = {given}: it must be {message}"


def _text(path: Path) -> str:
    return read_bytes(path, _MAX_BYTES).decode()
