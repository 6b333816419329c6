"""What a file is, decided by its content; the suffix is only a name."""

from __future__ import annotations

from pathlib import Path

from cnn_export.errors import CheckpointError
from cnn_export.untrusted.snapshot import HEAD_BYTES, Snapshot
from cnn_export.untrusted.tensor_files.reader import LEGACY, SAFETENSORS, ZIP
from cnn_export.untrusted.tensor_files.safetensors_file import HEADER_MAX

_FOREIGN = {
    b"\x1f\x8b": "gzip-compressed; decompress it first",
    b"\x89HDF": "an HDF5 file, not a torch checkpoint; save the torch state_dict",
    b"version https://git-lfs": "a Git LFS pointer; run: git lfs pull",
    b"<": "an HTML or XML page, probably a failed download; fetch the file again",
}


def sniff(snapshot: Snapshot) -> str:
    """Return which of the kinds of ``tensor_files.reader`` the first bytes of a file belong to.

    Raises:
        CheckpointError: empty, or no checkpoint; says what it is instead.
    """
    return kind_of(snapshot.path, snapshot.head(HEAD_BYTES))


def kind_of(path: Path, head: bytes) -> str:
    """Return what :func:`sniff` does, by the first ``HEAD_BYTES`` bytes.

    Raises:
        CheckpointError: as :func:`sniff`.
    """
    if not head:
        raise CheckpointError(f"{path} is empty; fetch or save the checkpoint again")
    if head.startswith(b"PK"):
        return ZIP
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= HEADER_MAX:
        return SAFETENSORS
    if head.startswith(b"\x80"):
        return LEGACY
    for magic, meaning in _FOREIGN.items():
        if head.startswith(magic):
            raise CheckpointError(f"{path} is {meaning}")
    if head[257:262] == b"ustar":
        raise CheckpointError(f"{path} is a tar archive; extract it and give the file inside")
    kind = "text" if _is_text(head) else "of an unknown format"
    raise CheckpointError(
        f"{path} is {kind}, not a checkpoint; give a .pt, .pth, .pth.tar, .safetensors or .pt2"
    )


def _is_text(head: bytes) -> bool:
    try:
        # A multi-byte character may be cut at the end of the head.
        return head.decode("utf-8", errors="strict").isprintable() or head.isascii()
    except UnicodeDecodeError as error:
        return error.start >= HEAD_BYTES - 4
