"""Real profilers on one exported network; the file's published cost is the independent truth."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.benchmarks.commands.profile import command
from cnn_export.benchmarks.profiles.document import Profile, read_profile
from cnn_export.benchmarks.profiles.process import profiled
from cnn_export.benchmarks.profiles.readers.litert_library import KNOWN_VERSION, ProfiledModel
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.command_line.edge import run_command
from cnn_export.errors import InputRefused, ParityError, TargetUnavailable

# conv 3→8, 3×3, stride 2 on 33×47 (17×24 out); depthwise 3×3 stride 1; 1×1 8→12; linear 12→5.
MACS = [17 * 24 * 8 * 27, 17 * 24 * 8 * 9, 17 * 24 * 12 * 8, 12 * 5]


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.ReLU(),
            nn.Conv2d(8, 12, 1),
        )
        self.head = nn.Linear(12, 5)
        norm = self.body[1]
        assert isinstance(norm, nn.BatchNorm2d)
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            assert tensor is not None
            nn.init.uniform_(tensor, 0.5, 1.5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("profiled")
    torch.manual_seed(1)
    targets = ["onnx", "tflite", "executorch"]
    result = export(_Net(), targets, output=folder, shapes={"image": (1, 3, 33, 47)})
    return {artifact.manifest.target: artifact.path for artifact in result.artifacts}


@pytest.fixture(scope="module")
def profiles(exported: dict[str, Path]) -> dict[str, Profile]:
    return {
        target: profiled(exported[target], threads=1, inferences=20)
        for target in ("onnx", "tflite")
    }


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_every_mac_of_the_network_has_a_time(profiles: dict[str, Profile], target: str) -> None:
    profile = profiles[target]
    assert [op.macs for op in profile.ops if op.macs] == MACS
    assert sum(op.share for op in profile.ops) == pytest.approx(1.0)
    assert profile.inferences == 20
    assert profile.plain_ns is not None
    assert profile.profiled_ns is not None
    assert 0 < profile.sum_ns < profile.profiled_ns
    assert any("microseconds" in note for note in profile.notes)


def test_fused_activations_are_covered_by_their_convolution(profiles: dict[str, Profile]) -> None:
    profile = profiles["onnx"]
    first = next(op for op in profile.ops if op.macs == MACS[0])
    assert len(first.covers) == 2
    assert profile.untimed == []


def test_executorch_wheel_has_no_tracer_and_says_what_to_do(exported: dict[str, Path]) -> None:
    with pytest.raises(TargetUnavailable, match=r"\.tflite or \.onnx"):
        profiled(exported["executorch"], threads=1, inferences=5)


def test_only_the_litert_that_the_extra_installs_is_profiled(exported: dict[str, Path]) -> None:
    """The library's structures are private: those of another version may lie elsewhere."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    pinned = f"ai-edge-litert=={KNOWN_VERSION}*"
    assert pinned in project["project"]["optional-dependencies"]["run-tflite"]
    with pytest.raises(TargetUnavailable, match=re.escape(f"pip install '{pinned}'")):
        ProfiledModel(exported["tflite"], 1, "2.4.0")


def test_a_changed_artifact_is_not_profiled(exported: dict[str, Path], tmp_path: Path) -> None:
    source = exported["onnx"]
    copy = tmp_path / source.name
    copy.write_bytes(source.read_bytes() + b"\0")
    manifest = source.name + ".manifest.json"
    (tmp_path / manifest).write_bytes(source.with_name(manifest).read_bytes())
    with pytest.raises(ParityError, match="export it again"):
        profiled(copy, threads=1, inferences=5)


def test_a_hanging_worker_is_ended(exported: dict[str, Path]) -> None:
    with pytest.raises(IncompleteRun, match="--inferences"):
        profiled(exported["onnx"], threads=1, inferences=5, timeout_s=0.01)


def test_command_prints_a_document_that_reads_back(
    exported: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(exported["onnx"]), "--inferences", "5", "--json"]
    assert run_command(command, "cnn-bench profile", arguments) == 0
    path = tmp_path / "profile.json"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    found = read_profile(path)
    assert isinstance(found, Profile)
    assert sum(op.macs or 0 for op in found.ops) == sum(MACS)


def test_command_shows_sum_whole_and_their_difference(
    exported: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(exported["onnx"]), "--inferences", "5", "--top", "2"]
    assert run_command(command, "cnn-bench profile", arguments) == 0
    shown = capsys.readouterr().out
    for words in ("Sum of operators", "whole call with the profiler on", "between operators"):
        assert words in shown
    assert "The 2 slowest of" in shown


@pytest.mark.parametrize(("name", "code"), [("none.onnx", 4), ("net.mlpackage", 4), ("net.txt", 4)])
def test_command_refuses_what_cannot_be_profiled(
    name: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(command, "cnn-bench profile", [str(tmp_path / name)]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error


def test_command_process_never_imports_torch(exported: dict[str, Path]) -> None:
    script = (
        "import sys; from cnn_export.benchmarks.profiles.process import profiled; "
        f"from pathlib import Path; profiled(Path({str(exported['onnx'])!r}), 1, 5); "
        "print('torch' in sys.modules or 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"cnn_bench": "profile", "ops": []}), "[1"])
def test_a_foreign_profile_document_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputRefused, match="is not a profile"):
        read_profile(path)


def test_a_missing_profile_document_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="does not exist"):
        read_profile(tmp_path / "none.json")
