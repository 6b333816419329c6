"""What a shared library needs of the phone: its pages, and other libraries."""

from __future__ import annotations

import dataclasses
import struct

from build_tools.errors import BuildError

_MAGIC = b"\x7fELF"
_LITTLE_ENDIAN = b"\x01"
_LOAD = 1
_DYNAMIC = 2
_NEEDED = 1
_STRING_TABLE = 5
_PROGRAMS_MAX = 128
_DYNAMIC_MAX = 4096


@dataclasses.dataclass(frozen=True)
class Library:
    """``alignment``: the smallest among the loaded segments, bytes. ``needed``: file names."""

    alignment: int
    needed: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int
    alignment: int


def read_library(content: bytes, name: str) -> Library:
    """Read the program headers and the dynamic section.

    Raises:
        BuildError: it is no little-endian ELF library.
    """
    if content[:4] != _MAGIC or content[5:6] != _LITTLE_ENDIAN:
        raise BuildError(f"{name} is no little-endian ELF file")
    try:
        segments = _segments(content, wide=content[4] == 2)
        return Library(
            min(segment.alignment for segment in segments if segment.kind == _LOAD),
            _needed(content, segments, wide=content[4] == 2),
        )
    except (struct.error, ValueError, IndexError) as error:
        raise BuildError(f"{name} is a damaged ELF file: {error}") from error


def _segments(content: bytes, *, wide: bool) -> list[_Segment]:
    table = struct.unpack_from("<Q" if wide else "<I", content, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", content, 54 if wide else 42)
    starts = [table + size * index for index in range(min(count, _PROGRAMS_MAX))]
    return [_segment(content, start, wide=wide) for start in starts]


def _segment(content: bytes, start: int, *, wide: bool) -> _Segment:
    if wide:
        kind, _, offset, address, _, size, _, alignment = struct.unpack_from(
            "<IIQQQQQQ", content, start
        )
    else:
        kind, offset, address, _, size, _, _, alignment = struct.unpack_from(
            "<IIIIIIII", content, start
        )
    return _Segment(kind, offset, address, size, alignment)


def _needed(content: bytes, segments: list[_Segment], *, wide: bool) -> tuple[str, ...]:
    dynamic = next((segment for segment in segments if segment.kind == _DYNAMIC), None)
    if dynamic is None:
        return ()
    form = struct.Struct("<QQ" if wide else "<II")
    count = min(dynamic.size // form.size, _DYNAMIC_MAX)
    pairs = [form.unpack_from(content, dynamic.offset + form.size * i) for i in range(count)]
    strings = _offset(segments, next(value for tag, value in pairs if tag == _STRING_TABLE))
    return tuple(_text(content, strings + value) for tag, value in pairs if tag == _NEEDED)


def _offset(segments: list[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == _LOAD and 0 <= address - segment.address < segment.size:
            return segment.offset + address - segment.address
    raise ValueError("the string table is in no segment")


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode("ascii", "replace")
