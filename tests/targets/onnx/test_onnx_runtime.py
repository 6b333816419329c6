"""ONNX Runtime leaves no trace of itself and reports to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_THREADS = "import os; print(len(os.listdir('/proc/self/task')))"
_OURS = "from cnn_export.targets.onnx.runtime import import_onnxruntime; import_onnxruntime()"


def _threads_after(statement: str, home: Path, **more: str) -> int:
    """Run ``statement`` in a process with ``home``; return how many threads it then has."""
    kept = {
        k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{_THREADS}"],
        env=kept | {"HOME": str(home)} | more,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1])


def test_it_starts_no_thread_and_writes_no_file(tmp_path: Path) -> None:
    bare = _threads_after("import onnxruntime", tmp_path, ORT_DISABLE_TELEMETRY="1")
    assert list(tmp_path.iterdir()) == []
    assert _threads_after(_OURS, tmp_path) == bare
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_choice_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnn_export.targets.onnx.runtime import import_onnxruntime

    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"


@pytest.mark.parametrize("file", ["export/targets", "benchmarks"], ids=["exporter", "harness"])
def test_nobody_imports_it_another_way(file: str) -> None:
    root = Path(__file__).parents[3]
    sources = [
        path for path in (root / file).rglob("*.py") if path.parts[-2:] != ("onnx", "runtime.py")
    ]
    assert len(sources) > 5
    guilty = [
        p.name
        for p in sources
        if "import onnxruntime as" in p.read_text() or '("onnxruntime")' in p.read_text()
    ]
    assert guilty == []
