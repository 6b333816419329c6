"""Sets of files to commit: what was there before, what is new, and which of the two is shown."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from cnn_export.atomic_commit import Staging, staging

Tree = dict[str, bytes]
"""Relative path → content, of files only."""

SUFFIXES = (".onnx", ".tflite", ".mlpackage", ".pte")
_LARGE = 3 * 2**16  # more than one block of any copy


@dataclasses.dataclass(frozen=True)
class FileSet:
    """One export: the suffixes of its artifacts, and whether an earlier one is there."""

    suffixes: tuple[str, ...]
    replaces: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Artifacts and manifests, as the pipeline orders them."""
        return tuple(
            name
            for suffix in self.suffixes
            for name in (f"net{suffix}", f"net{suffix}.manifest.json")
        )

    def content(self, version: str) -> dict[str, Tree]:
        """Return name → what it holds; a file is one entry without a name."""
        return {name: _content(name, version) for name in self.names}

    def put_earlier(self, out: Path) -> None:
        """Write the earlier export, and a file that is nobody's business."""
        (out / "notes.txt").write_bytes(b"precious")
        if self.replaces:
            _write(out, self.content("old"))

    def commit(self, out: Path) -> None:
        """Stage and commit the new export."""
        with staging(out) as staged:
            stage(self, staged)
            staged.commit(self.names)

    def shown(self, out: Path) -> set[str]:
        """Return which versions the names show: old, new or absent; anything else fails."""
        return {_version(out / name, self) for name in self.names}


FILE_SETS = {
    "first export": FileSet((".onnx",), replaces=False),
    "replace": FileSet((".onnx", ".tflite"), replaces=True),
    "replace package": FileSet((".mlpackage",), replaces=True),
    "first of four": FileSet(SUFFIXES, replaces=False),
    "four targets": FileSet(SUFFIXES, replaces=True),
}


def stage(files: FileSet, staged: Staging) -> None:
    """Make the new files in the private folder."""
    _write(staged.folder, files.content("new"))


def _content(name: str, version: str) -> Tree:
    text = f"{version} {name}".encode()
    if not name.endswith(".mlpackage"):
        return {"": text * (_LARGE // len(text)) if version == "old" else text}
    extra = {"Data/stale.bin": b"from before"} if version == "old" else {}
    return {"Manifest.json": text, "Data/com.apple.CoreML/weights/weight.bin": text} | extra


def _write(folder: Path, content: dict[str, Tree]) -> None:
    for name, files in content.items():
        for below, data in files.items():
            path = folder / name / below
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _version(path: Path, files: FileSet) -> str:
    found = _found(path)
    if found is None:
        return "absent"
    versions = [v for v in ("old", "new") if files.content(v)[path.name] == found]
    assert versions, f"{path} is neither old nor new: {sorted(found)}"
    return versions[0]


def _found(path: Path) -> Tree | None:
    if path.is_file():
        return {"": path.read_bytes()}
    if not path.is_dir():
        return None
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
