"""Files read by one call: each within its own limits, and what one does is not another's fault."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import weakref
from pathlib import Path
from typing import Any

import onnx
import pytest

from cnn_export.artifact_files import bounded_readers, inspection
from cnn_export.artifact_files.onnx.reader import OnnxFile
from cnn_export.errors import InputRefused

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="no other system bounds address space"
)
_MB = 2**20


def _file(path: Path, name: str = "y") -> Path:
    """Write an operator whose result has this name."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Relu", ["x"], [name])
    ends = [value("x", 1, [1, 3])], [value(name, 1, [1, 3])]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", *ends)), path)
    return path


@pytest.mark.parametrize("end", ["SIGSEGV", "SIGXCPU", "memory"])
def test_the_second_file_that_ends_its_reader_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.chdir(tmp_path)
    read: list[str] = []
    in_copy, opened = bounded_readers.in_copy, bounded_readers.opened

    def told(work: Any, *, path: Path, limits: Any) -> Any:
        answer = in_copy(work, path=path, limits=limits)
        read.append(path.name)
        return answer

    def ending(path: Path) -> Any:
        if path.name == "a.onnx":
            return opened(path)
        if end == "memory":
            return bytearray(2**33)
        return os.kill(os.getpid(), signal.Signals[end])

    monkeypatch.setattr(bounded_readers, "in_copy", told)
    monkeypatch.setattr(bounded_readers, "opened", ending)
    files = [(_file(tmp_path / name).name, 2**30) for name in ("a.onnx", "b.onnx", "c.onnx")]
    with pytest.raises(InputRefused, match=rf"^b\.onnx.*({end}|CPU time)"):
        bounded_readers.graphs_of(files, str(tmp_path), 10)
    assert read == ["a.onnx"]


def test_answers_that_are_large_together_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one file may say, each of many may."""
    monkeypatch.setattr(inspection, "_GB", 32 * _MB)
    monkeypatch.setattr(inspection, "_WATCHING_BYTES", 160 * _MB)
    large = _file(tmp_path / "large.onnx", "y" * _MB)
    read = inspection.read_graphs([_file(tmp_path / "a.onnx"), *[large] * 12])
    assert [graph.outputs for graph in read[:2]] == [("y",), ("y" * _MB,)]
    assert len(read) == 13


def test_the_process_that_fails_blames_no_single_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "_TIMES_KEPT", 0)
    monkeypatch.setattr(inspection, "_GB", 0)
    monkeypatch.setattr(inspection, "_WATCHING_BYTES", 0)
    paths = [_file(tmp_path / name) for name in ("a.onnx", "b.onnx")]
    both = re.escape(f"one of {paths[0]}, {paths[1]} ")
    with pytest.raises(InputRefused, match=f"^{both}"):
        inspection.read_graphs(paths)


def test_a_reader_ends_with_its_last_use(tmp_path: Path) -> None:
    file = OnnxFile(_file(tmp_path / "a.onnx"))
    assert file.graph() is file.graph()
    end = weakref.ref(file)
    del file
    gc.collect()
    assert end() is None
