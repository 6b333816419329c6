"""``cnn-bench run`` and ``devices`` as a user sees them, with real worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_results as made
import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from loaded_modules import modules_after
from scripted_device import Answer, ScriptedDevice
from torch import nn

from cnn_export import export
from cnn_export.benchmarks import cli
from cnn_export.benchmarks.devices import named_devices
from cnn_export.benchmarks.devices.host.host import HostDevice
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.protocol import End, Hello, Sample
from cnn_export.benchmarks.results.results_file import Appender, BadLine, read_records
from cnn_export.errors import DeviceUnfit
from cnn_export.manifest.manifest import manifest_path

_FAST = ("--repeats", "2", "--min-time", "10ms")
HELLO = Hello(runtime="onnxruntime", version="1", threads=1, load_ns=5, first_ns=5).to_line()


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def _records(path: Path, kind: type[Any]) -> list[Any]:
    found = list(read_records(path))
    assert not [line for line in found if isinstance(line, BadLine)]
    return [record for record in found if isinstance(record, kind)]


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
    code, table, err = _run(
        capsys, "run", *exported, "--repeats", "1", "--min-time", "10ms", "--out", out
    )
    assert code == 0
    assert err == f"6 processes are kept in {out}\n"
    repeats = _records(out, record_types.Repeat)
    runtimes = {"ai-edge-litert", "onnxruntime", "executorch"}
    assert {repeat.runtime for repeat in repeats} == runtimes
    for repeat in repeats:
        assert min(repeat.samples_ns) > 0
        assert min(repeat.load_ns, repeat.first_ns, repeat.warm_up) > 0
    memories = _records(out, record_types.Memory)
    assert {memory.runtime for memory in memories} == runtimes
    assert all(memory.peak_rss_bytes >= memory.baseline_rss_bytes > 10**7 for memory in memories)
    # 9x14 pixels: 3x3 from 3 to 4 channels, then 1x1 from 4 to 2.
    macs = 9 * 14 * (3 * 3 * 3 * 4 + 4 * 2)
    assert [artifact.macs for artifact in _records(out, record_types.Artifact)] == [macs] * 3
    for path in exported:
        assert path.name in table


def test_two_runtimes_are_interleaved_in_one_process(
    exported: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.jsonl"
    code, text, _ = _run(
        capsys, "run", *exported[:2], "--compare", *_FAST, "--out", out, "--json", "--seed", 3
    )
    assert code == 0
    document = json.loads(text)
    pairs = _records(out, record_types.Pair)
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
    assert _run(capsys, "run", affine_onnx, *_FAST, *arguments, "--out", out)[0] == 0
    repeats = _records(out, record_types.Repeat)
    for repeat in repeats:
        assert repeat.conditions.cpus == [cpu]
        assert "too_few_cpus" in repeat.conditions.flags
        assert repeat.runtime_args == {"spinning": "off"}
        assert repeat.threads == 2


def test_a_cpu_that_is_not_there_is_a_usage_error(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _run(
        capsys, "run", affine_onnx, *_FAST, "--cpus", "4095", "--out", tmp_path / "r.jsonl"
    )
    assert code == 2
    assert "CPU 4095 is not among those" in err


def _drop_manifest(path: Path) -> None:
    manifest_path(path).unlink()


def _change(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _other_function(path: Path) -> None:
    write_onnx(path, scale=3.01)
    save_manifest(path, manifest_of(path, "onnx"))


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (_drop_manifest, 4, "manifest.json does not exist"),
        (_change, 3, "not the file its manifest was written for"),
        (_other_function, 3, "output 'y' is off by"),
    ],
)
def test_a_wrong_artifact_is_never_timed(
    affine_onnx: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Any,
    code: int,
    message: str,
) -> None:
    spoil(affine_onnx)
    out = tmp_path / "r.jsonl"
    found, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--out", out)
    assert found == code
    assert message in err
    assert not out.exists() or _records(out, record_types.Repeat) == []


def _worker(monkeypatch: pytest.MonkeyPatch, body: str, patience_s: float = 60.0) -> None:
    """Let every worker be a process that runs ``body``."""
    command = [sys.executable, "-c", f"import os, sys, time\nw = sys.stdout.write\n{body}"]
    device = HostDevice(patience_s, command)
    monkeypatch.setattr(named_devices, "find_devices", lambda *_: [device])


NEGATIVE = '{"cnn_bench":"sample","ns":-5}\n'
_SAMPLES = "".join(Sample(ns=n).to_line() for n in range(1, 13))
_END = End(count=12).to_line()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The lines of a run that has measured memory and no time yet."""
    folder = tmp_path_factory.mktemp("begun")
    artifact, out = folder / "affine.onnx", folder / "r.jsonl"
    write_onnx(artifact)
    save_manifest(artifact, manifest_of(artifact, "onnx"))
    arguments = ["run", str(artifact), *_FAST, "--quiet", "--out", str(out)]
    assert cli.main(arguments) == 0
    lines = out.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith('{"cnn_bench":"repeat"'))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("w('rubbish\\n' * 100000)", "never said 'hello' (worker exit code 0)"),
        ("w('\\0' * 10**7)", "never said 'hello'"),
        (
            f"w({HELLO + NEGATIVE!r})",
            "damaged lines, the first",
        ),
        (f"w({HELLO + Sample(ns=9).to_line() * 12 + _END!r})", "all 12 times are 9 ns"),
        (f"w({HELLO + _SAMPLES + Sample(ns=0).to_line() + End(count=13).to_line()!r})", "0 ns"),
        (f"w({HELLO + _SAMPLES + End(count=13).to_line()!r})", "12 measurements arrived"),
        (f"w({HELLO + _SAMPLES + _END!r}); sys.stdout.flush(); os._exit(3)", "after its report"),
    ],
)
def test_a_bad_worker_is_one_line_and_nothing_is_lost(
    affine_onnx: Path,
    begun: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    message: str,
) -> None:
    err = _resumed(affine_onnx, begun, capsys, monkeypatch, body, 1)
    assert message in err


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.abort()", "never said 'hello' (worker killed by signal 6)"),
        (f"w({HELLO + _SAMPLES!r}); sys.stdout.flush(); os.abort()", "stopped before its 'end'"),
        (f"w({HELLO!r}); sys.exit('no space')", "exit code 1): …no space"),
        (f"while True: w({Sample(ns=9).to_line()!r} * 1000)", "never said 'hello'"),
    ],
)
def test_an_artifact_that_ends_its_worker_is_refused(
    affine_onnx: Path,
    begun: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    message: str,
) -> None:
    err = _resumed(affine_onnx, begun, capsys, monkeypatch, body, 4)
    assert message in err


def _resumed(
    affine_onnx: Path,
    begun: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    expected: int,
) -> str:
    """Go on with a run, the worker doing as ``body`` says, and return the last words."""
    out = affine_onnx.with_name("r.jsonl")
    out.write_text(begun)
    _worker(monkeypatch, body)
    code, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--resume", "--out", out)
    assert code == expected
    assert err.splitlines()[-1].startswith("cnn-bench: affine.onnx: ")
    assert "1 of 3 processes are kept" in err
    assert out.read_text().startswith(begun)
    ending = json.loads(out.read_text().removeprefix(begun))
    assert (ending["cnn_bench"], ending["outcome"]) == ("ending", "failed")
    return err


def test_a_hanging_worker_and_its_children_are_ended(
    affine_onnx: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The child inherits the pipe: without its end, reading would never end either."""
    pids = tmp_path / "pids"
    body = (
        f"child = os.fork()\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    )
    _worker(monkeypatch, body, patience_s=1.5)
    code, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--out", tmp_path / "r.jsonl")
    assert code == 4
    assert "no end after 2 s: " in err
    deadline = time.monotonic() + 30  # an orphan is gone when init has seen its end
    while any(map(_is_running, map(int, pids.read_text().split()))):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_an_unwritable_file_is_refused_before_measuring(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--out", tmp_path / "no" / "r.jsonl")
    assert code == 4
    assert "change --out" in err


def test_two_runs_into_one_file(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    with Appender(out):
        code, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--out", out)
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
    ended, table, err = _run(capsys, "run", affine_onnx, "--repeats", "2", "--out", out)
    assert ended == code
    assert "Latency per inference" in table
    warning, ending = err.splitlines()
    assert "schema version 9" in warning
    assert last in ending


@pytest.mark.parametrize(
    ("number", "word"),
    [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated"), (signal.SIGHUP, "hung up")],
)
def test_an_interrupted_process_keeps_what_it_has(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, word: str
) -> None:
    out = tmp_path / "r.jsonl"
    arguments = [
        "run",
        str(affine_onnx),
        "--repeats",
        "4",
        "--min-time",
        "200ms",
        "--out",
        str(out),
    ]
    out.write_text('{"cnn_bench"')
    process = subprocess.Popen(
        [sys.executable, "-m", "cnn_export.benchmarks", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while out.read_bytes().count(b"\n") < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    shown, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Latency per inference" in shown.decode()
    torn, failure = err.decode().splitlines()
    assert torn == f"a torn last line of {out} is now in {out}.torn"
    assert failure.startswith(f"cnn-bench: {word}; ")
    assert err.decode().endswith(f"are kept in {out}; go on with the same command and --resume\n")
    assert _run(capsys, *arguments, "--resume")[0] == 0
    keys = [repeat.repeat for repeat in _records(out, record_types.Repeat)]
    assert sorted(keys) == [0, 1, 2, 3]


def test_no_worker_outlives_a_killed_command(affine_onnx: Path, tmp_path: Path) -> None:
    """An orphan would measure on for its ten minutes, beside the run that resumes."""
    out = tmp_path / "r.jsonl"
    arguments = ["run", str(affine_onnx), "--min-time", "10min", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "cnn_export.benchmarks", *arguments], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    workers: list[int] = []
    while not workers or out.read_bytes().count(b"\n") < 3:  # memory is measured, timing began
        assert time.monotonic() < deadline
        workers = _children(process.pid) if out.exists() else []
        time.sleep(0.02)
    (worker,) = workers
    process.kill()
    process.wait()
    while _is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for listed in Path(f"/proc/{pid}/task").glob("*/children")
        for child in listed.read_text().split()
    ]


def test_a_file_that_was_meddled_with_is_told(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    arguments = ("run", affine_onnx, *_FAST, "--out", out, "--json")
    assert _run(capsys, *arguments)[0] == 0
    lines = out.read_text().splitlines(keepends=True)
    repeated = next(line for line in lines if line.startswith('{"cnn_bench":"repeat"'))
    out.write_text("".join([*lines[:2], "a log line\n", *lines[2:], repeated]))
    code, text, err = _run(capsys, *arguments, "--resume")
    assert code == 0
    assert json.loads(text)["results"][0]["processes"] == 2
    assert "line 3 (no record of cnn-bench); run " in err
    assert "has two 'repeat' lines of" in err


def test_a_torn_line_is_told(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    assert _run(capsys, "run", affine_onnx, *_FAST, "--out", out)[0] == 0
    out.write_bytes(out.read_bytes()[:-5])
    code, _, err = _run(capsys, "run", affine_onnx, *_FAST, "--resume", "--out", out)
    assert code == 0
    assert f"a torn last line of {out} is now in {out}.torn" in err
    assert len(_records(out, record_types.Repeat)) == 2


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
    code, out, err = _run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_quiet_is_quiet(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("run", affine_onnx, *_FAST, "--quiet", "--out", tmp_path / "r.jsonl")
    assert _run(capsys, *arguments) == (0, "", "")


def test_devices_name_host_and_runtimes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADBUTILS_ADB_PATH", "/nowhere/adb")  # no server is to be left running
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "9")
    code, out, _ = _run(capsys, "devices", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["devices"][0]["id"] == "host"
    assert document["devices"][0]["cpus"] <= (os.cpu_count() or 1)
    assert set(document["runtimes"]) == {"ai-edge-litert", "onnxruntime", "executorch"}
    code, out, _ = _run(capsys, "devices")
    assert code == 0
    assert out.startswith("host ")


def test_the_parent_loads_neither_torch_nor_a_runtime(affine_onnx: Path, tmp_path: Path) -> None:
    arguments = ["run", str(affine_onnx), *_FAST, "--quiet", "--out", str(tmp_path / "r.jsonl")]
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
