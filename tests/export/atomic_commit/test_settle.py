"""What dead processes left is brought to its end; whatever else there is stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_checks import tree
from file_sets import FILE_SETS, FileSet, stage

from cnn_export.atomic_commit import settle, staged_files, staging
from cnn_export.atomic_commit.private_folder import PrivateFolder

FILES = FILE_SETS["replace"]
HIDDEN = ".cnn-export-0123456789abcdef"


def die_after(out: Path, installed: int, files: FileSet = FILES) -> None:
    """Commit in a fork that ends, without a word, once ``installed`` names are replaced."""
    child = os.fork()
    if child == 0:
        install, done = staged_files.install, [0]

        def counting(*arguments: object) -> None:
            if done[0] == installed:
                os._exit(0)
            done[0] += 1
            install(*arguments)  # type: ignore[arg-type]

        staged_files.install = counting
        try:
            files.commit(out)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("installed", range(4))
def test_what_was_decided_is_completed(installed: int, out: Path) -> None:
    FILES.put_earlier(out)
    die_after(out, installed)
    (note,) = settle(out)
    assert "completed: net.onnx, net.onnx.manifest.json" in note
    assert FILES.shown(out) == {"new"}
    assert settle(out) == ()


def test_the_next_commit_settles_too(out: Path) -> None:
    """It began before the other died; else that one's files would replace its own later."""
    FILES.put_earlier(out)
    with staging(out) as staged:
        stage(FILES, staged)
        (staged.folder / "net.onnx").write_bytes(b"newest")
        die_after(out, 2)
        (note,) = staged.commit(FILES.names)
    assert "completed" in note
    assert (out / "net.onnx").read_bytes() == b"newest"
    assert settle(out) == ()


def test_what_another_wrote_since_stays(out: Path) -> None:
    """Then nothing of the half written set is shown."""
    FILES.put_earlier(out)
    die_after(out, 2)
    (out / "net.tflite").write_bytes(b"by hand")
    (note,) = settle(out)
    assert "taken back" in note
    assert (out / "net.tflite").read_bytes() == b"by hand"
    assert (out / "net.onnx").read_bytes() == FILES.content("old")["net.onnx"][""]


def test_a_new_file_that_a_crash_lost_takes_all_back(out: Path) -> None:
    FILES.put_earlier(out)
    before = tree(out)
    die_after(out, 1)
    (hidden,) = out.glob(".cnn-export-*")
    (hidden / "new" / "net.tflite").write_bytes(b"torn")
    (note,) = settle(out)
    assert "taken back" in note
    assert tree(out) == before


def test_a_living_jobs_folder_stays(out: Path) -> None:
    with staging(out) as staged:
        assert settle(out) == ()
        assert staged.folder.is_dir()


@pytest.mark.parametrize("content", [["notes.txt"], ["new", "lock", "thesis.tex"]])
def test_what_an_export_would_not_have_made_stays(content: list[str], out: Path) -> None:
    for name in content:
        (out / HIDDEN / name).mkdir(parents=True)
    (out / ".cnn-export-settings").mkdir()
    (out / HIDDEN.replace("0", "f")).symlink_to(out / HIDDEN)
    before = tree(out)
    assert settle(out) == ()
    assert tree(out) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_another_users_folder_stays(out: Path) -> None:
    (out / HIDDEN / "new").mkdir(parents=True)
    os.chown(out / HIDDEN, 65534, 65534)
    assert settle(out) == ()
    assert (out / HIDDEN / "new").is_dir()


@pytest.mark.parametrize(
    "name", ["../net.onnx", "/net.onnx", "", "..", "a/b", "n\0t", 7, None, ["net.onnx"]]
)
def test_a_journal_that_leads_elsewhere_is_not_followed(name: object, out: Path) -> None:
    folder = out / HIDDEN
    (folder / "new").mkdir(parents=True)
    entry = {"name": name, "sha256": "0" * 64, "replaces": None}
    (folder / "redo").write_text(json.dumps({"version": 1, "entries": [entry]}))
    assert settle(out) == ()
    assert (folder / "redo").is_file()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 2, "entries": []}', "[" * 100_000, "9" * 70_000]
)
def test_what_is_no_journal_is_left_alone(text: str, out: Path) -> None:
    folder = out / HIDDEN
    (folder / "new").mkdir(parents=True)
    (folder / "redo").write_text(text)
    assert settle(out) == ()
    assert (folder / "redo").is_file()


def test_a_journal_that_is_a_pipe_is_left_alone(out: Path) -> None:
    (out / HIDDEN).mkdir()
    os.mkfifo(out / HIDDEN / "redo")
    assert settle(out) == ()


def test_a_folder_that_was_not_locked_yet_goes(out: Path) -> None:
    (out / HIDDEN).mkdir()
    assert settle(out) == ()
    assert tree(out) == {}


def test_a_destination_without_locks_keeps_what_may_live(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnn_export.atomic_commit.private_folder.try_lock", lambda _: None)
    PrivateFolder.create(out)
    assert settle(out) == ()
    assert len(list(out.iterdir())) == 1
    FILES.commit(out)
    assert FILES.shown(out) == {"new"}
