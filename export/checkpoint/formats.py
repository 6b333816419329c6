"""What a file is, decided by its content; the suffix is only a name."""

from __future__ import annotations

import enum
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from cnn_export.errors import CheckpointError

_HEAD_BYTES = 512
_SAFETENSORS_HEADER_MAX = 100_000_000
"""Bytes; the safetensors library refuses a longer header."""
_FOREIGN = {
    b"\x1f\x8b": "gzip-compressed; decompress it first",
    b"\x89HDF": "an HDF5 file, not a torch checkpoint; save the torch state_dict",
    b"version https://git-lfs": "a Git LFS pointer; run: git lfs pull",
    b"<": "an HTML or XML page, probably a failed download; fetch the file again",
}


class Format(enum.Enum):
    """How the bytes are to be read."""

    TORCH_ZIP = "torch zip"
    TORCH_LEGACY = "torch legacy pickle"
    SAFETENSORS = "safetensors"
    EXPORTED_PROGRAM = "exported program"


def sniff(path: Path) -> Format:
    """Return the format of the file at ``path``.

    Raises:
        CheckpointError: missing, a folder, unreadable, empty, damaged, or no checkpoint.
    """
    head = _head(path)
    if head.startswith(b"PK"):
        return _sniff_zip(path)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER_MAX:
        return Format.SAFETENSORS
    if head.startswith(b"\x80"):
        return Format.TORCH_LEGACY
    for magic, meaning in _FOREIGN.items():
        if head.startswith(magic):
            raise CheckpointError(f"{path} is {meaning}")
    if head[257:262] == b"ustar":
        raise CheckpointError(f"{path} is a tar archive; extract it and give the file inside")
    kind = "text" if _is_text(head) else "of an unknown format"
    raise CheckpointError(
        f"{path} is {kind}, not a checkpoint; give a .pt, .pth, .pth.tar, .safetensors or .pt2"
    )


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _head(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise CheckpointError(f"{path} is a folder; give the checkpoint file itself")
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; check the path") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise CheckpointError(f"{path} is empty; fetch or save the checkpoint again")
    return head


def _sniff_zip(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or cut short ({error}); fetch or save it again"
        ) from error
    names = [e.filename.partition("/")[2] or e.filename for e in entries]
    if "archive_format" in names:
        _require_plain(path, entries)
        return Format.EXPORTED_PROGRAM
    if "serialized_exported_program.json" in names:
        raise CheckpointError(
            f"{path} is an exported program of torch 2.7 or older; export it again with torch 2.8+"
        )
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise CheckpointError(
            f"{path} is a TorchScript archive, which holds code instead of a checkpoint;"
            " save the original model's state_dict, or a .pt2 with torch.export.save"
        )
    if "data.pkl" in names:
        _require_plain(path, entries)
        return Format.TORCH_ZIP
    raise CheckpointError(f"{path} is a zip without a torch checkpoint; extract it first")


def _require_plain(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse what unpacks to more than the file: torch stores its records, none compressed."""
    packed = next((e for e in entries if e.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise CheckpointError(
            f"{path} is a compressed zip ({packed.filename}), which torch never writes;"
            " save it again with torch"
        )
    claimed_bytes, held_bytes = sum(e.file_size for e in entries), path.stat().st_size
    if claimed_bytes > held_bytes:
        raise CheckpointError(
            f"{path} claims {claimed_bytes} bytes of records in a file of {held_bytes};"
            " fetch or save it again"
        )


def _is_text(head: bytes) -> bool:
    try:
        # A multi-byte character may be cut at the end of the head.
        return head.decode("utf-8", errors="strict").isprintable() or head.isascii()
    except UnicodeDecodeError as error:
        return error.start >= _HEAD_BYTES - 4
