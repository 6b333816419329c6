"""An artifact is measured and judged only beside the manifest that was written for it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx

from cnn_export.benchmarks.artifacts.proven_artifact import proven_manifest
from cnn_export.benchmarks.cli import main
from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.manifest import Manifest, manifest_path
from cnn_export.untrusted import regular_file
from cnn_export.untrusted.artifact_digest import artifact_bytes, artifact_digest


def test_the_manifest_of_the_right_file(affine_onnx: Path) -> None:
    assert proven_manifest(affine_onnx).artifact == "affine.onnx"


def test_another_artifacts_manifest_names_both(affine_onnx: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    shutil.copy(affine_onnx, other)
    shutil.copy(manifest_path(affine_onnx), manifest_path(other))
    with pytest.raises(InputRefused, match=r"of 'affine\.onnx', not of 'other\.onnx'"):
        proven_manifest(other)


def test_another_size_is_told_without_reading(affine_onnx: Path) -> None:
    """A sparse file of 8 TB would take hours to hash."""
    with affine_onnx.open("r+b") as file:
        file.truncate(2**43)
    with pytest.raises(ParityError, match=r"8,796,093,022,208 bytes, recorded"):
        proven_manifest(affine_onnx)


def test_a_size_that_is_not_the_files(affine_onnx: Path) -> None:
    manifest = manifest_of(affine_onnx, "onnx")
    save_manifest(affine_onnx, manifest.model_copy(update={"artifact_bytes": 5}))
    with pytest.raises(ParityError, match="recorded 5"):
        proven_manifest(affine_onnx)


def package(tmp_path: Path) -> Path:
    folder = tmp_path / "net.mlpackage"
    (folder / "Data").mkdir(parents=True)
    (folder / "Data/weight.bin").write_bytes(b"\1" * 8)
    write_onnx(tmp_path / "net.onnx")
    digest, size = artifact_digest(folder)
    manifest = manifest_of(tmp_path / "net.onnx", "onnx").model_dump()
    manifest["partitions"]["delegate"] = "Core ML"
    named = {"artifact": folder.name, "artifact_sha256": digest, "artifact_bytes": size}
    save_manifest(folder, Manifest.model_validate(manifest | named | {"target": "coreml"}))
    return folder


def test_a_package_is_its_files(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert proven_manifest(folder).artifact_bytes == 8
    (folder / "more.txt").write_text("more")
    with pytest.raises(ParityError, match="12 bytes, recorded 8"):
        proven_manifest(folder)


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "linked folder"])
def test_a_package_holds_its_files_itself(kind: str, tmp_path: Path) -> None:
    """What a link leads to may change after it was hashed; a pipe or device was left out of it."""
    folder = package(tmp_path)
    member = folder / "member"
    if kind == "pipe":
        os.mkfifo(member)
    else:
        targets = {"device": "/dev/zero", "link": tmp_path / "net.onnx", "linked folder": tmp_path}
        member.symlink_to(targets[kind])
    with pytest.raises(InputRefused, match=re.escape(f"{member} is no regular file")):
        proven_manifest(folder)


def spoiled(affine_onnx: Path, which: str, kind: str) -> Path:
    path = affine_onnx if which == "artifact" else manifest_path(affine_onnx)
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    return affine_onnx


@pytest.mark.parametrize("which", ["artifact", "manifest"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing"])
def test_no_command_reads_what_is_no_file(
    which: str,
    kind: str,
    affine_onnx: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    budgets = tmp_path / "budgets.toml"
    budgets.write_text('[[budget]]\nmodel = "affine"\nfile_bytes = 10000\n')
    path = str(spoiled(affine_onnx, which, kind))
    calls = [["run", path], ["gate", "--artifact", path, "--budgets", str(budgets)]]
    for words in calls + ([["cost", path]] if which == "artifact" else []):
        code = main(words)
        err = capsys.readouterr().err
        refused = code in (3, 4) if kind == "folder" else code == 4
        assert (refused, err.count("\n")) == (True, 1), (words, code, err)
        assert affine_onnx.name in err


@pytest.mark.parametrize("kind", ["long", "circular", "below a file"])
def test_a_path_that_the_system_does_not_follow_is_one_line(
    kind: str, affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``Path.exists`` raises for the first, and for folders that may not be searched."""
    folder, loop = tmp_path / ("x" * 5000), tmp_path / "loop"
    loop.symlink_to(loop)
    place = {"long": folder, "circular": loop, "below a file": affine_onnx}[kind]
    path, out = str(place / "a.onnx"), str(tmp_path / "r.jsonl")
    budgets = tmp_path / "budgets.toml"
    budgets.write_text("[[budget]]\nfile_bytes = 10000\n")
    calls = [
        ["run", path, "--out", out],
        ["run", str(affine_onnx), "--resume", "--out", path],
        ["run", str(affine_onnx), "--out", path],
        ["gate", "--artifact", path, "--budgets", str(budgets)],
        ["gate", "--artifact", str(affine_onnx), "--budgets", path],
        ["gate", path, "--budgets", str(budgets)],
        ["cost", path],
        ["profile", path],
        ["compare", path, path],
        ["report", path],
    ]
    for words in calls:
        code = main(words)
        err = capsys.readouterr().err
        assert code in (2, 4), (words, code, err)
        assert err.count("\n") == 1, (words, err)


def test_what_the_system_does_not_tell_is_refused_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 5000)
    for look in (regular_file.kind_at, artifact_digest, artifact_bytes, proven_manifest):
        with pytest.raises(InputRefused, match=r"cannot be read: File name too long"):
            look(path)
