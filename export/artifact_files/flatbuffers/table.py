"""Read FlatBuffers data by a parsed schema. Every offset is checked against the data's end."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

from cnn_export.artifact_files.flatbuffers.schema import Field, Schema
from cnn_export.artifact_files.read_limit import ReadLimit

_SCALARS = {
    "bool": "?",
    "byte": "b",
    "ubyte": "B",
    "short": "h",
    "ushort": "H",
    "int": "i",
    "uint": "I",
    "uint32": "I",
    "long": "q",
    "ulong": "Q",
    "int64": "q",
    "uint64": "Q",
    "float": "f",
    "double": "d",
}


@dataclasses.dataclass(frozen=True)
class Table:
    """One table at ``position`` of ``data``; ``name`` is the union member's, or the type's."""

    schema: Schema
    type: str
    name: str
    data: memoryview
    position: int
    limit: ReadLimit

    def __getitem__(self, name: str) -> Any:
        """Return a field: a number, ``str``, :class:`Table`, tuple of these, or its default.

        An absent vector is an empty tuple, an absent table, string or union ``None``. Bytes
        come as a ``memoryview``.

        Raises:
            KeyError: the schema has no such field.
            ValueError, struct.error: an offset points outside the data.
        """
        field = self.schema.tables[self.type][name]
        place = self._place(field.slot)
        if field.vector:
            return self._vector(field, place)
        if field.type in self.schema.unions:
            return self._union(field, place)
        scalar = self._scalar(field.type)
        if scalar is not None:
            return _default(field) if place is None else self._unpack(scalar, place)
        return None if place is None else self._reference(field.type, place)

    def _place(self, slot: int) -> int | None:
        """Return where a slot's value stands, ``None`` where it is left out."""
        vtable = self.position - self._unpack("i", self.position)
        offset = 4 + 2 * slot
        if offset >= self._unpack("H", vtable):
            return None
        relative = self._unpack("H", vtable + offset)
        return self.position + relative if relative else None

    def _scalar(self, kind: str) -> str | None:
        return _SCALARS.get(self.schema.enums.get(kind, kind))

    def _vector(self, field: Field, place: int | None) -> Any:
        if place is None:
            return ()
        start, length = self._sized(place)
        if field.type == "ubyte":
            return self._slice(start, length)
        self.limit.take(length)
        scalar = self._scalar(field.type)
        if scalar is not None:
            content = self._slice(start, length * struct.calcsize("<" + scalar))
            return struct.unpack(f"<{length}{scalar}", content)
        self._slice(start, 4 * length)
        return tuple(self._reference(field.type, start + 4 * index) for index in range(length))

    def _union(self, field: Field, place: int | None) -> Table | None:
        kind_place = self._place(field.slot - 1)
        kind = 0 if kind_place is None else self._unpack("B", kind_place)
        if place is None or not kind:
            return None
        members = self.schema.unions[field.type]
        if kind > len(members):
            raise ValueError(
                f"{field.type} has no member {kind}; the schema is older than the file"
            )
        name, table = members[kind - 1]
        return Table(
            self.schema, table, name, self.data, place + self._unpack("I", place), self.limit
        )

    def _reference(self, kind: str, place: int) -> Any:
        if kind == "string":
            start, length = self._sized(place)
            self.limit.take(length)
            return bytes(self._slice(start, length)).decode()
        return Table(
            self.schema, kind, kind, self.data, place + self._unpack("I", place), self.limit
        )

    def _sized(self, place: int) -> tuple[int, int]:
        """Return (start, length) of the vector or string that ``place`` points to."""
        target = place + self._unpack("I", place)
        return target + 4, self._unpack("I", target)

    def _slice(self, start: int, length: int) -> memoryview:
        if start < 0 or start + length > len(self.data):
            raise ValueError(f"{length} bytes at {start} are past the end")
        return self.data[start : start + length]

    def _unpack(self, scalar: str, place: int) -> Any:
        if place < 0:
            raise ValueError(f"offset {place} is before the start")
        return struct.unpack_from("<" + scalar, self.data, place)[0]


def root_table(schema: Schema, kind: str, data: memoryview) -> Table:
    """Return the table that the data begins with the offset of."""
    position = struct.unpack_from("<I", data)[0]
    return Table(schema, kind, kind, data, position, ReadLimit(len(data)))


def _default(field: Field) -> int | float | str:
    """Return a scalar's default: zero, a number, or the name of an enum's value."""
    if field.default is None:
        return 0
    try:
        return float(field.default) if "." in field.default else int(field.default)
    except ValueError:
        return field.default
