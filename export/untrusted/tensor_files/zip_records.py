"""The records of a zip that torch wrote: stored, whole, apart from each other, each one once."""

from __future__ import annotations

import codecs
import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import IO, Any, NamedTuple, cast

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.tensor_files.damage import damaged

_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_END_MAGIC, _END_BYTES = b"PK\x05\x06", 22
_ENCRYPTED = 1
codecs.lookup("cp437")  # of names in a zip; no file can be opened any more when it is needed


class Record(NamedTuple):
    """``size`` bytes of the file from ``offset``."""

    offset: int
    size: int


class Records(NamedTuple):
    """The records by name without the folder that all are in.

    ``checked`` is false where the file was saved without checksums
    (``torch.serialization.set_crc32_options(False)`` leaves every one zero).
    """

    content: Any
    places: dict[str, Record]
    checked: bool

    def read(self, name: str) -> bytes:
        """Return a copy of the record's bytes, none where there is no such record."""
        place = self.places.get(name, Record(0, 0))
        return bytes(memoryview(self.content)[place.offset : place.offset + place.size])

    def within(self, name: str, judge: Callable[[Collection[str]], None]) -> Records:
        """Return the records of the zip that is a record of this one, by their places in all.

        Raises:
            CheckpointError: as :func:`read_records`.
        """
        inner = read_records(self.read(name), judge)
        start = self.places[name].offset
        places = {n: Record(start + p.offset, p.size) for n, p in inner.places.items()}
        return Records(self.content, places, inner.checked)


def read_records(content: Any, judge: Callable[[Collection[str]], None]) -> Records:
    """Check the whole archive in ``content``, an ``mmap``, and return its records.

    ``judge`` is given the names before anything else is looked at, and raises if they tell that
    this is something else.

    Raises:
        CheckpointError: no zip, cut short, packed, encrypted, records that overlap or share a
            name, or bytes that are not those that were saved. Says which record.
    """
    entries, end = _directory(content)
    names = _short_names(entries)
    judge(names)
    _require_plain(entries, len(content))
    places = [_place(content, entry) for entry in entries]
    _require_apart(entries, places, end)
    checked = any(entry.CRC for entry in entries)
    if checked:
        for entry, place in zip(entries, places, strict=True):
            _require_unchanged(content, entry, place)
    return Records(content, dict(zip(names, places, strict=True)), checked)


def _directory(content: Any) -> tuple[Sequence[zipfile.ZipInfo], int]:
    """Return the entries and where their directory starts."""
    try:
        # An mmap has what zipfile uses of a file.
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        archive = zipfile.ZipFile(cast(IO[bytes], file))
        end = archive.start_dir
        entries = archive.infolist()
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, struct.error) as error:
        raise damaged(str(error)) from None
    except (NotImplementedError, LookupError, IndexError, OverflowError) as error:
        raise damaged(f"a zip directory that cannot be read: {error}") from None
    if archive.comment or content[-_END_BYTES:][:4] != _END_MAGIC:
        raise damaged("bytes follow the end of the zip")
    return entries, end


def _require_plain(entries: Sequence[zipfile.ZipInfo], held_bytes: int) -> None:
    """Refuse what unpacks to more than the file: torch stores its records, none compressed."""
    packed = next((e for e in entries if e.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise CheckpointError(
            f"is a compressed zip ({packed.filename}), which torch never writes;"
            " save it again with torch"
        )
    claimed_bytes = sum(entry.file_size for entry in entries)
    if claimed_bytes > held_bytes:
        raise CheckpointError(
            f"claims {claimed_bytes} bytes of records in a file of {held_bytes};"
            " fetch or save it again"
        )
    for entry in entries:
        if entry.file_size != entry.compress_size or entry.flag_bits & _ENCRYPTED:
            raise damaged(f"the record {entry.filename} has two sizes, or a password")


def _place(content: Any, entry: zipfile.ZipInfo) -> Record:
    """Return where the record's bytes are; its own header must agree with the directory."""
    start = entry.header_offset
    header = content[start : start + _LOCAL.size] if start >= 0 else b""
    if len(header) < _LOCAL.size:
        raise damaged(f"the record {entry.filename} lies outside of the file")
    magic, _, _, method, *_, name_bytes, extra_bytes = _LOCAL.unpack(header)
    name_start = start + _LOCAL.size
    name = content[name_start : name_start + name_bytes]
    if magic != _LOCAL_MAGIC or method or name != _raw_name(entry):
        raise damaged(f"the record {entry.filename} is not where the directory says")
    return Record(name_start + name_bytes + extra_bytes, entry.file_size)


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    utf8 = entry.flag_bits & 0x800
    return entry.orig_filename.encode("utf-8" if utf8 else "cp437", "surrogateescape")


def _require_apart(entries: Sequence[zipfile.ZipInfo], places: Sequence[Record], end: int) -> None:
    spans = sorted(
        (entry.header_offset, place.offset + place.size, entry.filename)
        for entry, place in zip(entries, places, strict=True)
    )
    limits = [start for start, _, _ in spans[1:]] + [end]
    for (_, stop, name), limit in zip(spans, limits, strict=True):
        if stop > limit:
            raise damaged(f"the record {name} shares bytes with the next")


def _require_unchanged(content: Any, entry: zipfile.ZipInfo, place: Record) -> None:
    found = zlib.crc32(memoryview(content)[place.offset : place.offset + place.size])
    if found != entry.CRC:
        raise damaged(f"the record {entry.filename} has other bytes than were saved")


def _short_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return the names without the archive's folder, which torch puts before each."""
    folder = entries[0].filename.partition("/")[0] if entries else ""
    names = [entry.filename.removeprefix(f"{folder}/") for entry in entries]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise damaged(f"two records of one name, {twice}")
    return names
