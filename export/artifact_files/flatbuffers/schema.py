"""Read a FlatBuffers schema (``.fbs``): which field stands in which slot of which table.

Only what the schemas of ExecuTorch use: tables, enums, unions with aliases, defaults. Structs and
fixed-size arrays are not among it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

_COMMENT = re.compile(r"//[^\n]*")
_BLOCK = re.compile(r"\b(table|enum|union)\s+(\w+)\s*(?::\s*(\w+))?\s*\{([^}]*)\}")
_FIELD = re.compile(r"(\w+)\s*:\s*(\[?)\s*(\w+)\s*\]?\s*(?:=\s*([\w.+-]+))?")


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: its slot in the vtable, the type of it or of its elements, its default."""

    slot: int
    type: str
    vector: bool
    default: str | None


@dataclasses.dataclass(frozen=True)
class Schema:
    """``unions`` maps a union's members, from 1 on, to (name, table); 0 means none."""

    tables: Mapping[str, Mapping[str, Field]]
    enums: Mapping[str, str]
    unions: Mapping[str, tuple[tuple[str, str], ...]]


def parse_schema(*texts: str) -> Schema:
    """Parse the schemas together, as if one included the others."""
    blocks = [match.groups() for text in texts for match in _BLOCK.finditer(_COMMENT.sub("", text))]
    enums = {name: base or "byte" for kind, name, base, _ in blocks if kind == "enum"}
    unions = {name: _members(body) for kind, name, _, body in blocks if kind == "union"}
    tables = {name: _fields(body, unions) for kind, name, _, body in blocks if kind == "table"}
    return Schema(tables, enums, unions)


def _members(body: str) -> tuple[tuple[str, str], ...]:
    names = [item.partition(":") for item in body.split(",") if item.strip()]
    return tuple((name.strip(), (table or name).strip()) for name, _, table in names)


def _fields(body: str, unions: Mapping[str, object]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    slot = 0
    for match in _FIELD.finditer(re.sub(r"\([^)]*\)", "", body)):
        name, bracket, kind, default = match.groups()
        # A union takes a slot for its type and one for its value; a deprecated field keeps its.
        slot += kind in unions
        fields[name] = Field(slot, kind, bool(bracket), default)
        slot += 1
    return fields
