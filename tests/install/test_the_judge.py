"""``pip install cnn-export`` alone judges results; whatever it lacks is named in one line."""

from __future__ import annotations

import shlex
from pathlib import Path

import made_results as made
import pytest
from environments import Environment
from wheel import built_wheel

SIZE_MB_MAX = 120
NETWORKS = "torch, torchvision, safetensors"
ONNX = "onnx, onnxscript, onnxsim"
TFLITE = "litert-torch, ai-edge-litert"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("judge")
    environment = Environment(folder, built_wheel(folder))
    records = [*made.opened(), *made.repeats_ms([10.0, 10.1, 9.9, 10.2, 10.0, 9.8])]
    made.save(environment.work / "results.jsonl", records)
    for name, limit in (("met", 30), ("missed", 1)):
        text = f"[[budget]]\nlatency_ms = {limit}.0\n"
        (environment.work / f"{name}.toml").write_text(text, encoding="utf-8")
    return environment


def test_it_is_small(judge: Environment) -> None:
    assert judge.size_mb() < SIZE_MB_MAX


@pytest.mark.parametrize(("budgets", "code"), [("met", 0), ("missed", 10)])
def test_it_gates(judge: Environment, budgets: str, code: int) -> None:
    done = judge("cnn-bench", "gate", "results.jsonl", "--budgets", f"{budgets}.toml")
    assert done.returncode == code, done.stderr


def test_it_compares_and_reports(judge: Environment) -> None:
    done = judge("cnn-bench", "compare", "results.jsonl", "results.jsonl")
    assert done.returncode == 0, done.stderr
    done = judge("cnn-bench", "report", "results.jsonl", "--out", "report.html")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (judge.work / "report.html").read_text(encoding="utf-8")


def test_it_lists(judge: Environment) -> None:
    assert "mobilenet_v2" in judge("cnn-export", "--list-models").stdout
    done = judge("cnn-bench", "devices")
    assert (done.returncode, done.stderr) == (0, "")
    assert "onnxruntime     not installed" in done.stdout


@pytest.mark.parametrize(
    ("command", "missing", "extras"),
    [
        ("cnn-export x.pt -t onnx", f"{NETWORKS}, {ONNX} and onnxruntime", "onnx"),
        ("cnn-export x.pt -t tflite", f"{NETWORKS}, {TFLITE} and ai-edge-quantizer", "tflite"),
        ("cnn-export x.pt -t coreml", f"{NETWORKS} and coremltools", "coreml"),
        ("cnn-export x.pt -t executorch", f"{NETWORKS} and executorch", "executorch"),
        (
            "cnn-export x.pt -t all",
            f"{NETWORKS}, {ONNX}, onnxruntime, {TFLITE}, ai-edge-quantizer, coremltools and"
            " executorch",
            "onnx,tflite,coreml,executorch",
        ),
        ("cnn-bench run x.tflite", "ai-edge-litert", "run-tflite"),
        (
            "cnn-bench run x.tflite y.onnx z.pte",
            "ai-edge-litert, executorch, torch, onnx and onnxruntime",
            "run-tflite,run-executorch,run-onnx",
        ),
        ("cnn-bench profile x.onnx", "onnx and onnxruntime", "run-onnx"),
        ("cnn-bench cost x.onnx", "onnx", "run-onnx"),
        ("cnn-bench cost x.mlpackage", "coremltools", "coreml"),
        ("cnn-bench selfcheck", "scipy", "selfcheck"),
        ("cnn-bench selfcheck x.onnx", "onnx, onnxruntime and scipy", "run-onnx,selfcheck"),
    ],
)
def test_all_that_a_call_lacks_is_named_with_the_line_that_installs_it(
    judge: Environment, command: str, missing: str, extras: str
) -> None:
    (judge.work / "x.onnx").write_bytes(b"\x08\x08")
    (judge.work / "x.mlpackage").mkdir(exist_ok=True)
    done = judge(*command.split())
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    be = "are" if " and " in missing else "is"
    assert f": {missing} {be} not installed; run: pip install " in done.stderr
    assert done.stderr.removesuffix("'\n").endswith(f".whl[{extras}]")


def test_the_line_installs_what_is_missing(tmp_path: Path) -> None:
    environment = Environment(tmp_path, built_wheel(tmp_path))
    (environment.work / "x.onnx").write_bytes(b"no model")
    said = environment("cnn-bench", "cost", "x.onnx").stderr
    environment.install(shlex.split(said.partition("run: pip install ")[2])[0])
    done = environment("cnn-bench", "cost", "x.onnx")
    assert done.returncode == 4, done.stderr
    assert "x.onnx" in done.stderr
