"""The runner on a JVM: its own tests, and what the host makes of what it says."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from build_tools.jvm.robolectric_tests import build_robolectric_tests
from build_tools.jvm.unit_tests import JavaTests, environment
from jvm_platform import needs_linux

from cnn_export.benchmarks.results.protocol import (
    MemoryUse,
    PairSample,
    Sample,
    bounded_lines,
    messages,
)
from cnn_export.benchmarks.results.session import Measurement, Session, complete_session
from cnn_export.errors import InputRefused, ParityError, TargetUnavailable, UsageError

pytestmark = needs_linux

PROTOCOL = Path(__file__).parents[1] / "protocol" / "lines.jsonl"
Options = Callable[..., list[str]]


def _run(java: JavaTests, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        java.main("Main", *arguments), capture_output=True, timeout=120, env=environment()
    )


def _session(
    java: JavaTests, arguments: Sequence[str], kind: type[Measurement] = Sample
) -> Session:
    done = _run(java, arguments)
    return complete_session(messages(bounded_lines(io.BytesIO(done.stdout))), kind)


def test_java_tests(java: JavaTests, models: Path) -> None:
    """JUnit runs them all; a failure shows its report."""
    command = java.command({"cnn.models": str(models), "cnn.protocol": str(PROTOCOL)})
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment())
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "[         0 tests skipped         ]" in done.stdout


def test_activities(java: JavaTests, models: Path) -> None:
    """The Activities on Robolectric's system, with real inference; no phone, emulator or ART."""
    command = build_robolectric_tests().command({"cnn.models": str(models)})
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment())
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "\nOK (15 tests)\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "runtime", "version"),
    [("net.onnx", "onnxruntime", "1.29.0"), ("net.tflite", "ai-edge-litert", "2.6.2")],
)
def test_a_time(java: JavaTests, options: Options, name: str, runtime: str, version: str) -> None:
    session = _session(java, options("time", name))
    assert (session.hello.runtime, session.hello.version) == (runtime, version)
    assert session.hello.load_ns > 0
    assert session.hello.first_ns > 0
    assert len(session.samples_ns) == session.end.count >= 10  # how many fit in is the machine's
    assert session.end.warm_up >= 6
    assert session.before is not None
    assert session.after is not None
    assert session.before.launch == "app_process"
    assert session.before.cpus_allowed
    assert session.before.available_memory_bytes


def test_a_pair(java: JavaTests, options: Options, models: Path) -> None:
    second = [f"artifact.b={models}/net.tflite", f"probe.b={models}/net.tflite.probe"]
    arguments = options("pair", "net.onnx", *second, "b_first=true", "block=2")
    session = _session(java, arguments, PairSample)
    assert [hello.runtime for hello in session.hellos] == ["onnxruntime", "ai-edge-litert"]
    assert len(session.measurements) % 2 == 0


def test_a_memory_pass(java: JavaTests, options: Options) -> None:
    memory = _session(java, options("memory", "net.onnx"), MemoryUse).memory
    assert memory is not None
    assert memory.peak_rss_bytes > memory.baseline_rss_bytes > 10_000_000
    assert memory.peak_pss_bytes


def test_the_file_holds_what_the_stream_says(
    java: JavaTests, options: Options, tmp_path: Path
) -> None:
    out = tmp_path / "result with 'quotes'.jsonl"
    done = _run(java, options("time", "net.onnx", f"out={out}"))
    assert out.read_bytes() == done.stdout
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("threads=1", "thraeds=1"), UsageError, "Did you mean 'threads'"),
        (("protocol=3", "protocol=2"), UsageError, "speaks protocol 2"),
        (("net.onnx.probe", "net.tflite.probe"), ParityError, "is not the file"),
        (("/net.onnx.probe", "/absent"), InputRefused, "there is no file"),
    ],
)
def test_a_failure_is_the_hosts_own(
    java: JavaTests, options: Options, change: tuple[str, str], error: type[Exception], said: str
) -> None:
    arguments = [argument.replace(*change) for argument in options("time", "net.onnx")]
    done = _run(java, arguments)
    with pytest.raises(error, match=said) as caught:
        complete_session(messages(bounded_lines(io.BytesIO(done.stdout))))
    assert done.returncode == caught.value.exit_code  # type: ignore[attr-defined]
    assert b"Exception" not in done.stdout + done.stderr


def test_what_this_build_lacks_is_named(java: JavaTests, options: Options, tmp_path: Path) -> None:
    arguments = options("time", "net.tflite", "runtime_arg.gpu=on")
    with pytest.raises(TargetUnavailable, match="GPU delegate"):
        _session(java, arguments)


def test_the_loop_costs_less_than_a_microsecond(java: JavaTests) -> None:
    """Ten times more than it takes on a quiet machine, so that a busy one does not matter."""
    done = subprocess.run(
        java.main("timing.LoopOverhead"), capture_output=True, check=True, timeout=120
    )
    for figures in json.loads(done.stdout).values():
        assert figures["inside_ns"] < 1000
        assert figures["around_ns"] < 1000
