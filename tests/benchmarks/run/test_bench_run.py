"""``cnn-bench run`` and ``devices`` as a user sees them, with real worker processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import made_results as made
import pytest
from bench_command import FAST, bench, records_in
from loaded_modules import modules_after
from scripted_device import Answer, ScriptedDevice
from torch import nn

from cnn_export import export
from cnn_export.benchmarks import cli
from cnn_export.benchmarks.devices import named_devices
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.results_file import Appender
from cnn_export.errors import DeviceUnfit


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One small network, non-square, in the three formats that run here."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    folder = tmp_path_factory.mktemp("exported")
    result = export(
        network, ["tflite", "onnx", "executorch"], output=folder, shapes={"input": (1, 3, 9, 14)}
    )
    return [artifact.path for artifact in result.artifacts]


def test_three_runtimes_in_one_run(
    exported: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    code, table, err = bench(
        capsys, "run", *exported, "--repeats", "1", "--min-time", "10ms", "--out", out
    )
    assert code == 0
    assert err == f"6 processes are kept in {out}\n"
    repeats = records_in(out, record_types.Repeat)
    runtimes = {"ai-edge-litert", "onnxruntime", "executorch"}
    assert {repeat.runtime for repeat in repeats} == runtimes
    for repeat in repeats:
        assert min(repeat.samples_ns) > 0
        assert min(repeat.load_ns, repeat.first_ns, repeat.warm_up) > 0
    memories = records_in(out, record_types.Memory)
    assert {memory.runtime for memory in memories} == runtimes
    assert all(memory.peak_rss_bytes >= memory.baseline_rss_bytes > 10**7 for memory in memories)
    # 9x14 pixels: 3x3 from 3 to 4 channels, then 1x1 from 4 to 2.
    macs = 9 * 14 * (3 * 3 * 3 * 4 + 4 * 2)
    assert [artifact.macs for artifact in records_in(out, record_types.Artifact)] == [macs] * 3
    for path in exported:
        assert path.name in table


def test_two_runtimes_are_interleaved_in_one_process(
    exported: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.jsonl"
    code, text, _ = bench(
        capsys, "run", *exported[:2], "--compare", *FAST, "--out", out, "--json", "--seed", 3
    )
    assert code == 0
    document = json.loads(text)
    pairs = records_in(out, record_types.Pair)
    assert [pair.b_first for pair in pairs] in ([True, False], [False, True])
    assert len(set(pairs[0].runtimes)) == 2
    assert all(len(pair.a_ns) == len(pair.b_ns) >= 10 for pair in pairs)
    assert document["run"]["seed"] == 3
    assert document["comparisons"][0]["comparison"]["verdict"]
    assert document["results"] == []


def test_the_environment_of_a_worker_is_recorded(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = min(os.sched_getaffinity(0))
    out = tmp_path / "r.jsonl"
    arguments = ("--cpus", cpu, "--threads", "2", "--runtime-arg", "spinning=off")
    assert bench(capsys, "run", affine_onnx, *FAST, *arguments, "--out", out)[0] == 0
    repeats = records_in(out, record_types.Repeat)
    for repeat in repeats:
        assert repeat.conditions.cpus == [cpu]
        assert "too_few_cpus" in repeat.conditions.flags
        assert repeat.runtime_args == {"spinning": "off"}
        assert repeat.threads == 2


def test_a_cpu_that_is_not_there_is_a_usage_error(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = bench(
        capsys, "run", affine_onnx, *FAST, "--cpus", "4095", "--out", tmp_path / "r.jsonl"
    )
    assert code == 2
    assert "CPU 4095 is not among those" in err


def test_an_unwritable_file_is_refused_before_measuring(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = bench(capsys, "run", affine_onnx, *FAST, "--out", tmp_path / "no" / "r.jsonl")
    assert code == 4
    assert "change --out" in err


def test_two_runs_into_one_file(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    with Appender(out):
        code, _, err = bench(capsys, "run", affine_onnx, *FAST, "--out", out)
    assert code == 4
    assert "another run is writing" in err
    assert out.read_bytes() == b""


@pytest.mark.parametrize(
    ("answers", "code", "last"),
    [({}, 0, "3 processes are kept in"), ({2: DeviceUnfit("too hot")}, 12, "too hot; 2 of 3")],
)
def test_a_file_that_cannot_be_read_again_hides_no_ending(
    answers: dict[int, Answer | BaseException],
    code: int,
    last: str,
    affine_onnx: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An earlier run of another schema version: appended to, but never read."""
    monkeypatch.setattr(named_devices, "find_devices", lambda *_: [ScriptedDevice(answers)])
    later = made.run("f" * 16).to_line().replace('"schema_version":3', '"schema_version":9')
    out = made.save_as_is(tmp_path / "r.jsonl", [made.run(repeats=1), made.artifact()])
    with out.open("a") as file:
        file.write(later)
    ended, table, err = bench(capsys, "run", affine_onnx, "--repeats", "2", "--out", out)
    assert ended == code
    assert "Latency per inference" in table
    warning, ending = err.splitlines()
    assert "schema version 9" in warning
    assert last in ending


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "Did you mean 'run'"),
        (["run"], "Missing argument"),
        (["run", "a.onnx", "--thread", "1"], "--threads"),
        (["run", "a.onnx", "--threads", "0"], "'0' is no whole number"),
        (["run", "a.onnx", "--threads", "1,x"], "'x' is no whole number"),
        (["run", "a.onnx", "--min-time", "1 day"], "no duration"),
        (["run", "a.onnx", "--min-time", "0s"], "not between"),
        (["run", "a.onnx", "--repeats", "0"], "range 1<=x"),
        (["run", "a.onnx", "--device", "hots"], "Did you mean 'host'"),
        (["run", "a.onnx", "--block", "2"], "give --compare with it"),
    ],
)
def test_wrong_usage_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    code, out, err = bench(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_quiet_is_quiet(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("run", affine_onnx, *FAST, "--quiet", "--out", tmp_path / "r.jsonl")
    assert bench(capsys, *arguments) == (0, "", "")


def test_devices_name_host_and_runtimes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/nowhere/adb")  # no server is to be left running
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    code, out, _ = bench(capsys, "devices", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["devices"][0]["id"] == "host"
    assert document["devices"][0]["cpus"] <= (os.cpu_count() or 1)
    assert set(document["runtimes"]) == {"ai-edge-litert", "onnxruntime", "executorch"}
    code, out, _ = bench(capsys, "devices")
    assert code == 0
    assert out.startswith("host ")


def test_the_parent_loads_neither_torch_nor_a_runtime(affine_onnx: Path, tmp_path: Path) -> None:
    arguments = ["run", str(affine_onnx), *FAST, "--quiet", "--out", str(tmp_path / "r.jsonl")]
    loaded = modules_after(
        f"from cnn_export.benchmarks.cli import main; assert main({arguments!r}) == 0"
    )
    assert "cnn_export.benchmarks.run.run_job" in loaded
    assert not loaded & {"torch", "onnxruntime", "ai_edge_litert", "executorch"}


def test_help_lists_every_subcommand_and_loads_nothing_heavy() -> None:
    script = (
        "from cnn_export.benchmarks.cli import main; assert main(['--help']) == 0\n"
        "import sys; sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    for file in (Path(cli.__file__).parent / "commands").glob("[!_]*.py"):
        assert f"  {file.stem} " in done.stdout
    heavy = {"torch", "numpy", "scipy", "pydantic", "onnx", "rich.table", "jinja2"}
    assert not heavy & set(done.stderr.split())
