"""Worker processes: what they refuse, and what the parent makes of every way to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from loaded_modules import modules_after

from cnn_export.benchmarks.devices.contract import Job
from cnn_export.benchmarks.devices.host.host import HostDevice
from cnn_export.benchmarks.devices.host.worker_process import run_process
from cnn_export.benchmarks.results.protocol import End, Hello, Message, PairSample, Sample
from cnn_export.benchmarks.results.session import IncompleteRun, Session
from cnn_export.benchmarks.runtimes.onnx_runtime import OnnxRuntime
from cnn_export.benchmarks.runtimes.runtime_registry import RUNTIMES, runtime_of, runtime_version
from cnn_export.benchmarks.worker.worker import run, run_pair
from cnn_export.errors import ExportError, InputRefused, ParityError, TargetUnavailable
from cnn_export.manifest.manifest import manifest_path
from cnn_export.targets import TARGETS

TARGET_OF = {entry.suffix: name for name, entry in TARGETS.items()}
HELLO = Hello(runtime="r", version="1", threads=1, load_ns=2, first_ns=1).to_line()


def _timed(artifact: Path) -> Session:
    """Time an artifact in a fresh process."""
    return HostDevice().run(Job("time", (artifact,), 1, 0.01)).session


def test_a_worker_reports_every_inference(affine_onnx: Path) -> None:
    sent: list[Message] = []
    run(affine_onnx, 0.01, 1, sent.append)
    hello, *samples, end = sent
    assert isinstance(hello, Hello)
    assert (hello.runtime, hello.threads) == ("onnxruntime", 1)
    assert isinstance(end, End)
    assert end.count == len(samples)
    assert end.warm_up >= 6
    assert min(hello.load_ns, hello.first_ns) > 0
    times = [sample.ns for sample in samples if isinstance(sample, Sample)]
    assert len(times) == len(samples)
    assert sum(times) > 0


def test_a_pair_reports_both_interleaved(affine_onnx: Path) -> None:
    sent: list[Message] = []
    run_pair((affine_onnx, affine_onnx), 0.01, 1, sent.append, b_first=True)
    assert [type(message) for message in sent[:2]] == [Hello, Hello]
    assert {type(message) for message in sent[2:-1]} == {PairSample}
    assert isinstance(sent[-1], End)
    assert sent[-1].count == len(sent) - 3


def test_a_wrong_second_artifact_is_never_timed(affine_onnx: Path) -> None:
    wrong = affine_onnx.with_name("wrong.onnx")
    write_onnx(wrong, scale=-1.0)
    save_manifest(wrong, manifest_of(wrong, "onnx"))
    sent: list[Message] = []
    with pytest.raises(ParityError, match=r"wrong.onnx: output 'y' is off by"):
        run_pair((affine_onnx, wrong), 0.01, 1, sent.append)
    assert sent == []


def test_the_memory_pass_sees_the_weights_of_the_artifact(tmp_path: Path) -> None:
    """An artifact that carries 64 MB of constants takes at least those, a small one does not."""
    small, large = tmp_path / "small.onnx", tmp_path / "large.onnx"
    for path, values in ((small, 0), (large, 16_000_000)):
        write_onnx(path, ballast=values)
        save_manifest(path, manifest_of(path, "onnx"))
    found = [
        HostDevice().run(Job("memory", (path,), 1, 0.01)).session.memory for path in (small, large)
    ]
    net = [use.peak_rss_bytes - use.baseline_rss_bytes for use in found if use is not None]
    assert net[0] < 30_000_000
    assert net[1] > 64_000_000


def test_a_process_gives_one_repeat(affine_onnx: Path) -> None:
    repeat = _timed(affine_onnx)
    assert repeat.hello.version == runtime_version(OnnxRuntime())
    assert min(repeat.samples_ns) > 0


def test_another_file_under_the_name_is_refused(affine_onnx: Path) -> None:
    content = bytearray(affine_onnx.read_bytes())
    content[-1] ^= 1
    affine_onnx.write_bytes(content)
    with pytest.raises(ParityError, match="not the file its manifest was written for"):
        _timed(affine_onnx)


def test_a_file_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.onnx"
    write_onnx(path, scale=3.001)
    save_manifest(path, manifest_of(path, "onnx"))
    sent: list[Message] = []
    with pytest.raises(ParityError, match=r"wrong.onnx: output 'y' is off by"):
        run(path, 0.01, 1, sent.append)
    assert sent == []


@pytest.mark.parametrize("suffix", RUNTIMES)
def test_a_damaged_file_is_refused_by_its_runtime(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(bytes(range(256)) * 8)
    save_manifest(path, manifest_of(path, TARGET_OF[suffix]))
    with pytest.raises(InputRefused, match=r"cannot load .*noise"):
        _timed(path)


def test_a_missing_artifact_is_refused(affine_onnx: Path) -> None:
    affine_onnx.unlink()
    with pytest.raises(InputRefused, match="there is no artifact"):
        _timed(affine_onnx)


def test_a_missing_manifest_is_refused(affine_onnx: Path) -> None:
    manifest_path(affine_onnx).unlink()
    with pytest.raises(InputRefused, match=r"manifest\.json does not exist"):
        _timed(affine_onnx)


def test_a_missing_runtime_names_the_install_line() -> None:
    class Absent(OnnxRuntime):
        package = "no-such-runtime"

    with pytest.raises(TargetUnavailable, match=r"not installed; run: pip install .*\[run-onnx\]"):
        runtime_version(Absent())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.mlpackage", "no Core ML runtime"), ("a.bin", "none of .onnx, .pte, .tflite")],
)
def test_other_file_types_are_refused(name: str, reason: str) -> None:
    with pytest.raises(InputRefused, match=reason):
        runtime_of(Path(name))


def _script(*lines: str, then: str = "") -> list[str]:
    body = f"import sys, os, time; sys.stdout.write({''.join(lines)!r}); sys.stdout.flush(); {then}"
    return [sys.executable, "-c", body]


def test_logs_between_messages_do_no_harm() -> None:
    lines = ["starting\n", HELLO, "W 12 x.cc:3\n", Sample(ns=7).to_line(), End(count=1).to_line()]
    assert run_process(_script(*lines), 30)[0].samples_ns == (7,)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ("os.abort()", "before its 'end' .worker killed by signal 6"),
        ("sys.exit('out of memory')", "exit code 1.: …out of memory"),
        ("time.sleep(60)", "killed by signal 9"),
    ],
)
def test_a_process_that_ends_early_does_not_count(then: str, reason: str) -> None:
    with pytest.raises(IncompleteRun, match=reason):
        run_process(_script(HELLO, Sample(ns=7).to_line(), then=then), 2.0)


def test_a_crash_after_the_report_does_not_count() -> None:
    lines = [HELLO, Sample(ns=7).to_line(), End(count=1).to_line()]
    with pytest.raises(IncompleteRun, match="exit code 9 after its report"):
        run_process(_script(*lines, then="os._exit(9)"), 30)


def test_the_exit_code_of_a_worker_follows_its_failure(affine_onnx: Path) -> None:
    manifest_path(affine_onnx).write_text("{}")
    arguments = [
        "-m",
        "cnn_export.benchmarks.worker.worker",
        str(affine_onnx),
        "--min-time-s",
        "0.01",
    ]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    assert done.returncode == InputRefused.exit_code
    assert done.stdout.startswith(b'{"cnn_bench":"failure","exit_code":4,')


def test_a_worker_loads_torch_for_pte_only(affine_onnx: Path) -> None:
    arguments = [str(affine_onnx), "--min-time-s", "0.01"]
    loaded = modules_after(
        f"from cnn_export.benchmarks.worker.worker import main; assert main({arguments!r}) == 0"
    )
    assert "onnxruntime" in loaded
    assert "torch" not in loaded


def test_the_runtime_of_pte_leaves_its_compiler_out() -> None:
    """And nothing of what it asked for in its stead, so that the compiler can be imported."""
    name = "cnn_export.benchmarks.runtimes.executorch_runtime"
    loaded = modules_after(
        f"from {name} import RUNTIME; RUNTIME().import_package()\n"
        "import executorch; assert not hasattr(executorch, 'exir')"
    )
    assert "executorch.extension.pybindings.portable_lib" in loaded
    assert not {"executorch.exir", "executorch.exir._warnings", "torch._dynamo"} & loaded


def test_an_unexpected_error_is_still_reported(
    affine_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cnn_export.benchmarks.worker import worker

    def broken(*_: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(worker, "run", broken)
    assert worker.main([str(affine_onnx), "--min-time-s", "1"]) == ExportError.exit_code
    assert '"message":"internal error: ZeroDivisionError: two lines"' in capsys.readouterr().out
