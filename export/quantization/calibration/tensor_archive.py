"""The rows of an ``.npz`` file as samples, read one at a time."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Array, TensorSpec
from cnn_export.proof.sample_values import converted, read_failure, require_real
from cnn_export.quantization.calibration.sample_source import (
    Reader,
    ReadSample,
    SourceKind,
    UnusableSample,
)
from cnn_export.untrusted.regular_file import opened

_HEADER_BYTES_MAX = 65_536


class _Stored(NamedTuple):
    """One array of the archive: its rows lie in a member, from ``start`` bytes on."""

    spec: TensorSpec
    member: str
    start: int
    dtype: np.dtype[np.generic]
    row_shape: tuple[int, ...]
    rows: int

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.row_shape) * self.dtype.itemsize


class TensorArchive:
    """Arrays by input name, the first axis counting samples.

    An array of an input of shape (batch, …) is (samples, …). A compressed file is unpacked again
    in every pass, a row at a time; nothing more of it is held.
    """

    kind: SourceKind = "tensors"
    order = "as stored"

    def __init__(self, path: Path, specs: Sequence[TensorSpec]) -> None:
        """Read the arrays' headers.

        Raises:
            InputRefused: damaged, an input is missing, its rows do not fit, or counts differ.
        """
        self._path = path
        with _archive(path) as archive:
            self._arrays = [_stored(path, archive, spec) for spec in specs]
        counts = {array.rows for array in self._arrays}
        if len(counts) != 1:
            each = ", ".join(f"{array.spec.name!r} {array.rows}" for array in self._arrays)
            raise InputRefused(f"{path} holds different numbers of samples: {each}")
        self.count = counts.pop()

    def name(self, index: int) -> str:
        """Return the number of a row, from 0."""
        return f"sample {index}"

    @contextlib.contextmanager
    def reading(self) -> Generator[Reader]:
        """Yield a reader of rows; going back in a compressed file starts it again."""
        with _archive(self._path) as archive, contextlib.ExitStack() as stack:
            members = [stack.enter_context(archive.open(array.member)) for array in self._arrays]
            pairs = list(zip(self._arrays, members, strict=True))
            yield lambda index: ReadSample(
                {array.spec.name: _row(self._path, array, member, index) for array, member in pairs}
            )


@contextlib.contextmanager
def _archive(path: Path) -> Generator[zipfile.ZipFile]:
    with opened(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:
            raise _damaged(path, error) from error
        with archive:
            yield archive


def _stored(path: Path, archive: zipfile.ZipFile, spec: TensorSpec) -> _Stored:
    member = f"{spec.name}.npy"
    if member not in archive.namelist():
        held = ", ".join(repr(name.removesuffix(".npy")) for name in archive.namelist()[:8])
        raise InputRefused(f"{path} has no array named {spec.name!r}; it holds {held or 'nothing'}")
    # Damage shows as whatever the zip, deflate or NumPy reader stumbles over.
    try:
        with archive.open(member) as file:
            shape, by_columns, dtype = _header(file)
            start = file.tell()
    except Exception as error:
        raise _damaged(path, error) from error
    require_real(f"{path}: {spec.name!r}", dtype)
    if by_columns and len(shape) > 1:
        raise InputRefused(
            f"{path}: {spec.name!r} is stored by columns; save numpy.ascontiguousarray of it"
        )
    count = _row_count(path, spec, shape)
    array = _Stored(spec, member, start, dtype, (1, *spec.shape[1:]), count)
    held, due = archive.getinfo(member).file_size, start + array.rows * array.row_bytes
    if held != due:
        raise InputRefused(f"{path}: {spec.name!r} holds {held:,} bytes where {due:,} are due")
    return array


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    read = (
        npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
    )
    return read(file, max_header_size=_HEADER_BYTES_MAX)


def _row_count(path: Path, spec: TensorSpec, shape: tuple[int, ...]) -> int:
    wanted = spec.shape[1:]
    if len(shape) != len(spec.shape) or shape[1:] != wanted:
        turned = len(wanted) == 3 and shape[1:] == (*wanted[1:], wanted[0])
        hint = "; move the channels forward" if turned else ""
        raise InputRefused(
            f"{path}: {spec.name!r} has shape {list(shape)}, but samples of"
            f" {list(wanted)} are due: (samples, {', '.join(map(str, wanted))}){hint}"
        )
    return shape[0]


def _row(path: Path, array: _Stored, member: IO[bytes], index: int) -> Array:
    try:
        member.seek(array.start + index * array.row_bytes, os.SEEK_SET)
        content = member.read(array.row_bytes)
    except Exception as error:
        raise _damaged(path, error) from error
    if len(content) != array.row_bytes:
        raise InputRefused(f"{path} ends within sample {index} of {array.spec.name!r}")
    value = np.frombuffer(content, array.dtype).reshape(array.row_shape)
    try:
        return converted(f"{array.spec.name!r}", array.spec, value)
    except InputRefused as error:
        raise UnusableSample(str(error)) from error


def _damaged(path: Path, error: Exception) -> InputRefused:
    return InputRefused(f"{path} cannot be read as .npz: {read_failure(error)}")
