"""The command, as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx

from cnn_export.benchmarks import host_timing
from cnn_export.benchmarks.session import IncompleteRun
from cnn_export.manifest import manifest_path

_FAST = ["--repeats", "2", "--min-time-s", "0.01"]


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = host_timing.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_table_names_model_target_and_host(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _run(capsys, str(affine_onnx), *_FAST)
    title, heading, row, caption = out.splitlines()
    assert (code, err) == (0, "")
    assert title.strip() == "Latency on this host, 1 thread, 2 processes"
    assert heading.split()[:4] == ["model", "target", "runtime", "file"]
    assert row.split()[:2] == ["affine", "onnx"]
    assert "2.5" in row.split()
    assert "Not a phone's times" in caption


def test_json_holds_what_the_table_is_made_of(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = affine_onnx.with_name("second.onnx")
    write_onnx(second)
    save_manifest(second, manifest_of(second, "onnx"))
    code, out, _ = _run(capsys, str(affine_onnx), str(second), *_FAST, "--json", "--seed", "4")
    document: dict[str, Any] = json.loads(out)
    assert code == 0
    assert document["conditions"] == {"repeats": 2, "min_time_s": 0.01, "threads": 1, "seed": 4}
    assert [t["artifact"] for t in document["timings"]] == [str(affine_onnx), str(second)]
    for timing in document["timings"]:
        medians = timing["process_medians_ns"]
        assert len(medians) == 2
        assert timing["low_ns"] == min(medians)
        assert timing["high_ns"] == max(medians)
        assert timing["low_ns"] <= timing["median_ns"] <= timing["high_ns"]
        assert timing["inferences"] >= 20
        assert timing["macs"] == 2_500_000


def _remove_manifest(path: Path) -> None:
    manifest_path(path).unlink()


def _spoil_content(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _other_function(path: Path) -> None:
    write_onnx(path, scale=-3.0)
    save_manifest(path, manifest_of(path, "onnx"))


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (_remove_manifest, 4, "cannot read the manifest"),
        (_spoil_content, 3, "not the file its manifest was written for"),
        (_other_function, 3, "output 'y' is off"),
    ],
)
def test_a_wrong_artifact_is_one_line_and_a_code(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str], spoil: Any, code: int, message: str
) -> None:
    spoil(affine_onnx)
    result, out, err = _run(capsys, str(affine_onnx), *_FAST)
    assert (result, out) == (code, "")
    assert message in err
    assert err.startswith("host-timing: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Missing argument"),
        (["a.onnx", "--repeats", "0"], 2, "x>=1"),
        (["a.onnx", "--min-time-s", "0"], 2, "0<x"),
        (["a.onnx", "--repeat", "2"], 2, "--repeats"),
        (["a.onnx", "a.onnx"], 2, "given twice"),
        (["a.mlpackage"], 4, "no Core ML runtime"),
        (["a.onnx"], 4, "cannot read the manifest"),
    ],
)
def test_refusals_start_no_process(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr(host_timing, "run_worker", pytest.fail)
    result, out, err = _run(capsys, *arguments)
    assert (result, out) == (code, "")
    assert message in err


def test_an_incomplete_repeat_names_its_artifact(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise IncompleteRun("the worker stopped before its 'end'")

    monkeypatch.setattr(host_timing, "run_worker", lost)
    code, _, err = _run(capsys, str(affine_onnx))
    assert (code, err) == (
        1,
        f"host-timing: {affine_onnx}: the worker stopped before its 'end'\n",
    )


def test_interruption_has_its_own_code(
    affine_onnx: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host_timing, "run_worker", interrupted)
    assert _run(capsys, str(affine_onnx))[0] == 130


def _modules_after(statement: str) -> set[str]:
    script = f"{statement}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return set(done.stderr.decode().split())


def test_the_parent_never_loads_torch(affine_onnx: Path) -> None:
    arguments = [str(affine_onnx), *_FAST]
    loaded = _modules_after(
        f"from cnn_export.benchmarks.host_timing import main; assert main({arguments!r}) == 0"
    )
    assert "cnn_export.benchmarks.host_timing" in loaded
    assert not loaded & {"torch", "onnxruntime", "ai_edge_litert", "executorch"}


def test_the_worker_loads_torch_for_pte_only(affine_onnx: Path) -> None:
    arguments = [str(affine_onnx), "--min-time-s", "0.01"]
    loaded = _modules_after(
        f"from cnn_export.benchmarks.worker import main; assert main({arguments!r}) == 0"
    )
    assert "onnxruntime" in loaded
    assert "torch" not in loaded
