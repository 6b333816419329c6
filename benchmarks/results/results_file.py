"""Append to a ``results.jsonl``, and read one that may be damaged.

A line is one record, written by one ``write`` to a file opened for appending: it is there whole
or not at all. Should a crash of the machine leave a torn last line, the next run moves it to
``NAME.torn`` before it appends. One run at a time holds a file's lock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pydantic import TypeAdapter, ValidationError

from cnn_export.benchmarks.results.record_types import READABLE_VERSIONS, SCHEMA_VERSION, Record
from cnn_export.errors import DestinationError, InputRefused
from cnn_export.untrusted.regular_file import opened

MAX_LINE_BYTES = 64 * 2**20
"""A record of 100,000 samples has about 1 MB; a longer line is no record."""
TORN_SUFFIX = ".torn"

_KEY = b'"cnn_bench"'
_HEAD = b"{" + _KEY
"""How each line of ours begins; a torn one may end within."""
_HEAD_BYTES = 4096
_VERSION = re.compile(rb'^{"cnn_bench":"run","schema_version":(\d{1,9})[,}]')
_BLOCK_BYTES = 65_536
_PARSER: TypeAdapter[Record] = TypeAdapter(Record)


@dataclasses.dataclass(frozen=True)
class BadLine:
    """A line that is no record: ``foreign`` lines lack the key that every record has."""

    number: int
    reason: str
    foreign: bool = False


class Appender:
    """A results file open for one call; several threads may append to it.

    Raises:
        DestinationError: the file cannot be opened or written, is something else than results, or
            another run holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        """How much of a torn last line was set aside."""
        self._one_writer = threading.Lock()
        self._closed = False
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise DestinationError(
                f"cannot write {path}: {error.strerror}; change --out"
            ) from error
        try:
            self._require_ours()
            self._lock()
            self.torn_bytes = self._set_torn_aside()
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._one_writer:
            self._closed = True
            os.close(self._descriptor)

    def append(self, *records: Record) -> None:
        """Write records, one line each: all of them are there, or none.

        A thread that outlives the call finds the file closed: its descriptor may be another's.

        Raises:
            DestinationError: the disk is full or gone, or the file is closed; what was there is
                unharmed.
        """
        lines = "".join(record.to_line() for record in records).encode()
        with self._one_writer:
            if self._closed:
                raise DestinationError(f"{self.path} is closed; nothing more is kept")
            self._write(lines)

    def _write(self, lines: bytes) -> None:
        before = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, lines)
        except OSError as error:
            raise DestinationError(f"cannot write {self.path}: {error.strerror}") from error
        if written != len(lines):
            os.ftruncate(self._descriptor, before)
            raise DestinationError(f"{self.path} took {written} of {len(lines)} bytes; free space")

    def _require_ours(self) -> None:
        """Never append to, or part, what is somebody else's file or of another schema."""
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise DestinationError(
                f"{self.path} is no file, and results are read again; give another --out"
            )
        head = os.pread(self._descriptor, _HEAD_BYTES, 0).partition(b"\n")[0]
        if _KEY not in head and not _HEAD.startswith(head):
            raise DestinationError(
                f"{self.path} is no results file: its first line is no record of cnn-bench;"
                " give another --out"
            )
        found = _VERSION.search(head)
        if found and int(found[1]) not in READABLE_VERSIONS:
            raise DestinationError(
                f"{self.path} is of schema version {int(found[1])}, this command writes"
                f" {SCHEMA_VERSION}; give another --out"
            )

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DestinationError(
                f"another run is writing {self.path}; wait for it, or give another --out"
            ) from error
        except OSError:  # a file system without locks: appends are still whole
            return

    def _set_torn_aside(self) -> int:
        """Move what follows the last newline to ``NAME.torn``; return its size."""
        size = os.fstat(self._descriptor).st_size
        start = _last_line_start(self._descriptor, size)
        if start == size:
            return 0
        aside = self.path.with_name(self.path.name + TORN_SUFFIX)
        try:
            with aside.open("ab") as opened:
                opened.write(os.pread(self._descriptor, size - start, start) + b"\n")
            os.ftruncate(self._descriptor, start)
        except OSError as error:
            raise DestinationError(
                f"cannot set the torn last line of {self.path} aside: {error.strerror}"
            ) from error
        return size - start


def _last_line_start(descriptor: int, size: int) -> int:
    """Return the offset behind the last newline."""
    end = size
    while end > 0:
        begin = max(0, end - _BLOCK_BYTES)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def read_records(path: Path) -> Iterator[Record | BadLine]:
    """Yield every line of a results file as a record or as what is wrong with it, in order.

    One line is in memory at a time.

    Raises:
        InputRefused: it is no regular file, cannot be read, or a record is of another schema
            version.
    """
    with opened(path) as file:
        try:
            yield from parse_lines(_bounded(file))
        except OSError as error:
            raise InputRefused(f"{path} cannot be read: {error.strerror}") from error
        except InputRefused as error:
            raise InputRefused(f"{path}, {error}") from None


def parse_lines(lines: Iterable[bytes]) -> Iterator[Record | BadLine]:
    """Yield a record or a :class:`BadLine` per line; blank lines are skipped.

    Raises:
        InputRefused: a record is of another schema version.
    """
    for number, line in enumerate(lines, start=1):
        if line.isspace():
            continue
        yield _parsed(number, line)


def _parsed(number: int, line: bytes) -> Record | BadLine:
    if len(line) > MAX_LINE_BYTES:
        return BadLine(number, f"longer than {MAX_LINE_BYTES} bytes")
    if _KEY not in line:
        return BadLine(number, "no record of cnn-bench", foreign=True)
    try:
        record = _PARSER.validate_json(line)
    except ValidationError as error:
        _require_known_schema(number, line)
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        torn = "" if line.endswith(b"\n") else "torn: "
        return BadLine(number, f"{torn}{where + ': ' if where else ''}{first['msg']}")
    if record.cnn_bench == "run":
        _require_version(number, record.schema_version)
    return record


def _require_known_schema(number: int, line: bytes) -> None:
    """Tell a record of another version, whose fields may differ, from damage."""
    with contextlib.suppress(ValidationError):
        document: Any = TypeAdapter(dict[str, Any]).validate_json(line)
        version: Any = document.get("schema_version")
        if type(version) is int:
            _require_version(number, version)


def _require_version(number: int, version: int) -> None:
    if version not in READABLE_VERSIONS:
        raise InputRefused(
            f"line {number} is of schema version {version}, this command reads"
            f" {' and '.join(map(str, READABLE_VERSIONS))};"
            " measure again, or use the cnn-bench that wrote it"
        )


def _bounded(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines, at most ``MAX_LINE_BYTES + 1`` bytes of each; the rest is read and dropped."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        last = line
        while len(last) > MAX_LINE_BYTES and not last.endswith(b"\n"):
            last = stream.readline(MAX_LINE_BYTES + 1)
        yield line
