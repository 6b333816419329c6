"""The whole way with real inference: the app's own classes, on this machine's JVM, behind adb.

ONNX Runtime and TensorFlow Lite compute what the manifest says, or the run is refused.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bench_calls import Bench, records, write_apk
from phone.fake_phone import FakePhone
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.results import Conditions
from cnn_export.manifest import Manifest, manifest_path, read_manifest

OUT = Path("results.jsonl")
APP_FOLDER = Path(__file__).parents[2] / "android_app"


class _TwoHeads(nn.Module):
    """Two outputs of different sizes, from an image that is not square."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
        self.head = nn.Linear(5, 4)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = torch.relu(self.conv(image))
        return {"maps": maps, "scores": self.head(maps.mean((2, 3)))}


@pytest.fixture(scope="session")
def jvm() -> Path:
    """The folder of the app's classes for a JVM, as ``make app-jvm`` builds it."""
    if shutil.which("javac") is None:
        pytest.skip("there is no JDK to build the app's classes with")
    words = [sys.executable, "-m", "build_tools", "app-jvm"]
    built = subprocess.run(words, cwd=APP_FOLDER, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        pytest.skip(f"the app's classes cannot be built here: {built.stderr.strip()[-300:]}")
    return APP_FOLDER / "build/jvm"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(5)
    result = export(
        _TwoHeads(),
        ["onnx", "tflite"],
        output=tmp_path_factory.mktemp("exported"),
        shapes={"image": (1, 3, 9, 14)},
    )
    return {artifact.manifest.target: artifact.path for artifact in result.artifacts}


@pytest.fixture
def real_phone(phone: FakePhone, jvm: Path, apk: Path) -> FakePhone:
    """A phone whose app infers."""
    write_apk(apk, "arm64-v8a", more=("libtensorflowlite_jni.so",))
    phone.use_jvm_runner((jvm / "classpath.txt").read_text().strip(), jvm / "natives")
    return phone


def test_both_runtimes_infer(
    real_phone: FakePhone, bench: Bench, exported: dict[str, Path]
) -> None:
    files = [exported["onnx"], exported["tflite"]]
    done = bench("run", *files, "--device", "adb", "--threads", "2", "--min-time", "50ms")
    assert done.code == 0, done.err
    repeats = records(OUT, "repeat")
    assert {each["runtime"] for each in repeats} == {"onnxruntime", "ai-edge-litert"}
    for each in repeats:
        assert len(each["samples_ns"]) >= 10
        assert each["load_ns"] > 0
        Conditions.model_validate(each["conditions"])
    for each in records(OUT, "memory"):
        assert each["peak_rss_bytes"] > each["baseline_rss_bytes"] > 10_000_000


def test_an_app_that_was_started_another_way_is_not_believed(
    real_phone: FakePhone, bench: Bench, exported: dict[str, Path]
) -> None:
    """Here "the activity" starts the classes of the shell's launch, and these say so."""
    done = bench("run", exported["onnx"], "--device", "adb", "--launch", "activity")
    assert done.code == 1
    assert "started by app_process, not by activity" in done.err


def test_a_pair_of_two_runtimes_shares_a_process(
    real_phone: FakePhone, bench: Bench, exported: dict[str, Path]
) -> None:
    files = [exported["onnx"], exported["tflite"]]
    done = bench("run", *files, "--device", "adb", "--compare", "--min-time", "50ms")
    assert done.code == 0, done.err
    [first, _] = records(OUT, "pair")
    assert len(first["a_ns"]) == len(first["b_ns"]) >= 10
    assert first["runtimes"] == ["onnxruntime", "ai-edge-litert"]


def _wrong_values(path: Path) -> None:
    """The manifest expects something else of the last output."""
    manifest = read_manifest(manifest_path(path))
    outputs = [output.model_dump() for output in manifest.probe.outputs]
    outputs[-1]["values"][0] += 0.5
    probe = manifest.probe.model_dump() | {"outputs": outputs}
    _save(path, manifest.model_dump() | {"probe": probe})


def _rubbish(path: Path) -> None:
    """The right file for its manifest, but no model."""
    path.write_bytes(b"no model at all" * 100)
    manifest = read_manifest(manifest_path(path)).model_dump()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _save(path, manifest | {"artifact_sha256": digest, "artifact_bytes": path.stat().st_size})


def _save(path: Path, document: dict[str, object]) -> None:
    manifest_path(path).write_text(Manifest.model_validate(document).to_json())


@pytest.mark.parametrize("target", ["onnx", "tflite"])
@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (_wrong_values, 3, "of its RMS"),
        (_rubbish, 4, "cannot load"),
    ],
)
def test_what_the_app_refuses_is_never_timed(
    real_phone: FakePhone,
    bench: Bench,
    exported: dict[str, Path],
    tmp_path: Path,
    target: str,
    spoil: Callable[[Path], None],
    code: int,
    words: str,
) -> None:
    path = tmp_path / exported[target].name
    shutil.copy(exported[target], path)
    shutil.copy(manifest_path(exported[target]), manifest_path(path))
    spoil(path)
    done = bench("run", path, "--device", "adb", "--quiet")
    assert done.code == code, done.err
    assert words in done.err
    assert done.err.count("\n") == 1
    assert records(OUT, "repeat") == []


def test_a_gate_judges_what_came_from_there(
    real_phone: FakePhone, bench: Bench, exported: dict[str, Path], tmp_path: Path
) -> None:
    """Push, run, pull, gate: the budget is generous or impossible."""
    assert bench("run", exported["onnx"], "--device", "adb", "--repeats", 6).code == 0
    budgets = tmp_path / "budgets.toml"
    for limit, code in ((10_000.0, 0), (0.000_001, 10)):
        budgets.write_text(f'[[budget]]\nmodel = "*"\nlatency_ms = {limit}\n')
        assert bench("gate", OUT, "--budgets", budgets).code == code
