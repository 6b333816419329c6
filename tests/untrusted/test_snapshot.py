"""What was read stays what it was, whatever happens to the file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cnn_export.errors import InputRefused
from cnn_export.untrusted import snapshot
from cnn_export.untrusted.snapshot import taken

CONTENT = bytes(range(256)) * 12_345


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "net.pt"
    made.write_bytes(CONTENT)
    return made


def test_content_size_and_digest(path: Path) -> None:
    with taken(path) as copy:
        assert (copy.path, copy.size) == (path, len(CONTENT))
        assert copy.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert copy.head(5) == CONTENT[:5]
        assert Path(copy.own_path).read_bytes() == CONTENT
        for _ in range(2):
            with copy.opened() as file:
                assert file.read() == CONTENT
        assert bytes(copy.mapping()) == CONTENT


def test_a_file_saved_again_changes_nothing(path: Path) -> None:
    with taken(path) as copy:
        mapping = copy.mapping()
        path.write_bytes(b"short")
        assert mapping[-1] == 255  # a mapping of the file itself would end the process here
        assert bytes(mapping) == CONTENT


def test_a_mapping_outlives_the_snapshot_and_is_its_owner_s(path: Path) -> None:
    with taken(path) as copy:
        mapping, other = copy.mapping(), copy.mapping()
    mapping[0:3] = b"own"
    assert (mapping[:3], other[:3], path.read_bytes()[:3]) == (b"own", CONTENT[:3], CONTENT[:3])


def test_the_content_is_sealed(path: Path) -> None:
    with taken(path) as copy:
        with pytest.raises(PermissionError):
            os.pwrite(copy.descriptor, b"x", 0)
        with pytest.raises(PermissionError):
            os.truncate(copy.descriptor, 3)


def test_systems_without_sealed_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with taken(path) as copy:
        path.write_bytes(b"short")
        assert bytes(copy.mapping()) == CONTENT


@pytest.mark.parametrize("writing", ["longer", "shorter", "other"])
def test_a_file_that_is_being_written(
    writing: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = snapshot._write_all

    def meanwhile(descriptor: int, content: bytes) -> None:
        write_all(descriptor, content)
        with path.open("r+b") as file:
            if writing == "longer":
                file.seek(0, os.SEEK_END)
                file.write(bytes(2 * len(content)))
            elif writing == "shorter":
                file.truncate(3)
            else:
                file.write(b"other")
        os.utime(path, ns=(1, 1))  # no two clock ticks are needed

    monkeypatch.setattr(snapshot, "_write_all", meanwhile)
    with pytest.raises(InputRefused, match="was written to while it was read"), taken(path):
        pass


def test_no_memory_for_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "_write_all", full)
    with pytest.raises(InputRefused, match=r"net\.pt does not fit into the memory"), taken(path):
        pass


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    path = {"pipe": path, "device": Path("/dev/zero"), "folder": tmp_path}[kind]
    with pytest.raises(InputRefused, match=f"is a {kind}, not a file"), taken(path):
        pass


def open_descriptors() -> list[str]:
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def test_nothing_stays_open(path: Path) -> None:
    before = open_descriptors()
    with taken(path) as copy:
        mapping = copy.mapping()
        assert len(open_descriptors()) > len(before)
    del mapping, copy
    assert open_descriptors() == before


def test_the_first_bytes_are_judged_before_the_rest_is_read(path: Path) -> None:
    os.truncate(path, 2**43)  # sparse: more than any machine's memory

    def judge(judged: Path, head: bytes) -> None:
        assert (judged, head) == (path, CONTENT[: snapshot.HEAD_BYTES])
        raise InputRefused("is something else")

    with pytest.raises(InputRefused, match="is something else"), taken(path, judge):
        pass
    with pytest.raises(InputRefused, match=r"net\.pt does not fit into the memory"), taken(path):
        pass
