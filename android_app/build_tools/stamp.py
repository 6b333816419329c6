"""Tells whether an output was made from exactly these inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path


def digest_of(files: Iterable[Path], *texts: str) -> str:
    """Return one digest of some files' paths and contents, and of some texts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file} {content}\0".encode())
    return digest.hexdigest()


def build_scripts() -> list[Path]:
    """Return the files of this package: an output depends on them too."""
    package = Path(__file__).parent
    return sorted(file for end in ("*.py", "*.java") for file in package.rglob(end))


def build_if_changed(output: Path, stamp: Path, digest: str, build: Callable[[], None]) -> bool:
    """Call ``build`` unless ``output`` was made from ``digest``; return whether it was called."""
    if output.exists() and stamp.is_file() and stamp.read_text() == digest:
        return False
    stamp.unlink(missing_ok=True)
    build()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest)
    return True
