"""The ``.pte`` container: the program's FlatBuffers table and the data segments behind it."""

from __future__ import annotations

import functools

from cnn_export.artifact_files.flatbuffers.schema import Schema, parse_schema
from cnn_export.artifact_files.flatbuffers.table import Table, root_table
from cnn_export.command_line.packages import package_folder

_HEADER_MAGIC = b"eh00"
_IN_SEGMENT = 1
"""``DataLocation.SEGMENT``; otherwise the data stands inside the table."""


@functools.cache
def program_schema() -> Schema:
    """Return the schema of the program, which the executorch wheel carries."""
    folder = package_folder("executorch") / "exir" / "_serialize"
    return parse_schema(*((folder / f"{n}.fbs").read_text() for n in ("scalar_type", "program")))


class PteProgram:
    """A whole file. Damage shows as ``ValueError`` or ``struct.error`` where it is met."""

    def __init__(self, data: memoryview) -> None:
        self.table = root_table(program_schema(), "Program", data)
        self._data = data

    def payload(self, reference: Table) -> memoryview:
        """Return the bytes that a delegate was given."""
        if reference["location"] != _IN_SEGMENT:
            return self._inside[reference["index"]]["data"]
        start, size = self._segment(reference["index"])
        return self._data[start : start + size]

    @functools.cached_property
    def _segments(self) -> tuple[Table, ...]:
        return self.table["segments"]

    @functools.cached_property
    def _inside(self) -> tuple[Table, ...]:
        """Payloads that stand inside the table."""
        return self.table["backend_delegate_data"]

    @functools.cached_property
    def named_sizes(self) -> dict[str, int]:
        """Bytes of each named data segment."""
        return {
            item["key"]: self._segment(item["segment_index"])[1]
            for item in self.table["named_data"]
        }

    def _segment(self, index: int) -> tuple[int, int]:
        """Return (start, size) of a data segment; the extended header says where they begin."""
        if bytes(self._data[8:12]) != _HEADER_MAGIC:
            raise ValueError("segments without the extended header")
        segment = self._segments[index]
        start = int.from_bytes(self._data[24:32], "little") + segment["offset"]
        if start + segment["size"] > len(self._data):
            raise ValueError(f"segment {index} ends past the end of the file")
        return start, segment["size"]
