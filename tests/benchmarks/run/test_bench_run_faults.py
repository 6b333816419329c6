"""``cnn-bench run`` where artifacts, workers or somebody with a signal do not behave."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from bench_command import FAST, bench, records_in

from cnn_export.benchmarks import cli
from cnn_export.benchmarks.devices import named_devices
from cnn_export.benchmarks.devices.host.host import HostDevice
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.protocol import End, Hello, Sample
from cnn_export.manifest.manifest import manifest_path

HELLO = Hello(runtime="onnxruntime", version="1", threads=1, load_ns=5, first_ns=5).to_line()


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
    found, _, err = bench(capsys, "run", affine_onnx, *FAST, "--out", out)
    assert found == code
    assert message in err
    assert not out.exists() or records_in(out, record_types.Repeat) == []


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
    arguments = ["run", str(artifact), *FAST, "--quiet", "--out", str(out)]
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
    code, _, err = bench(capsys, "run", affine_onnx, *FAST, "--resume", "--out", out)
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
    code, _, err = bench(capsys, "run", affine_onnx, *FAST, "--out", tmp_path / "r.jsonl")
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
    assert bench(capsys, *arguments, "--resume")[0] == 0
    keys = [repeat.repeat for repeat in records_in(out, record_types.Repeat)]
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
    arguments = ("run", affine_onnx, *FAST, "--out", out, "--json")
    assert bench(capsys, *arguments)[0] == 0
    lines = out.read_text().splitlines(keepends=True)
    repeated = next(line for line in lines if line.startswith('{"cnn_bench":"repeat"'))
    out.write_text("".join([*lines[:2], "a log line\n", *lines[2:], repeated]))
    code, text, err = bench(capsys, *arguments, "--resume")
    assert code == 0
    assert json.loads(text)["results"][0]["processes"] == 2
    assert "line 3 (no record of cnn-bench); run " in err
    assert "has two 'repeat' lines of" in err


def test_a_torn_line_is_told(
    affine_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.jsonl"
    assert bench(capsys, "run", affine_onnx, *FAST, "--out", out)[0] == 0
    out.write_bytes(out.read_bytes()[:-5])
    code, _, err = bench(capsys, "run", affine_onnx, *FAST, "--resume", "--out", out)
    assert code == 0
    assert f"a torn last line of {out} is now in {out}.torn" in err
    assert len(records_in(out, record_types.Repeat)) == 2
