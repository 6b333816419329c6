"""A phone, an app for it, and a network to run there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from bench_calls import Bench, Done, write_apk
from phone.adb_fixture import adb_server, phone, phones

from cnn_export.benchmarks.cli import main

__all__ = ["adb_server", "phone", "phones"]


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    return write_apk(tmp_path / "cnn-bench.apk", "arm64-v8a", "x86_64")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "affine.onnx"
    write_onnx(path)
    save_manifest(path, manifest_of(path, "onnx"))
    return path


@pytest.fixture
def bench(
    apk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Bench:
    """``cnn-bench`` in this process, where ``run`` finds the app and has little to do."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *words: Any) -> Done:
        more: list[Any] = []
        if command == "run":
            more = ["--app", apk, "--min-time", "10ms", "--repeats", 2]
        code = main([command, *map(str, [*more, *words])])
        return Done(code, *capsys.readouterr())

    return call
