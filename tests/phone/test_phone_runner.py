"""What stands for the app on the fake phone, and what can be made to go wrong with it."""

from __future__ import annotations

import hashlib
import io
import subprocess

import pytest
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults

from cnn_export.benchmarks.results.protocol import PairSample, Sample, bounded_lines, messages
from cnn_export.benchmarks.results.session import IncompleteRun, Session, complete_session
from cnn_export.errors import ExportError, ParityError, UsageError

FOLDER = "/data/local/tmp/cnn-bench"
APP_PROCESS = f"CLASSPATH={FOLDER}/runner.apk app_process / org.cnnexport.bench.Main "
OPTIONS = (
    f"protocol=3 kind=time artifact={FOLDER}/model.tflite probe={FOLDER}/probe threads=2"
    " min_time_s=0.01"
)


@pytest.fixture
def ready(phone: FakePhone) -> FakePhone:
    """A phone with a runner, an artifact and its probe file."""
    phone.write(f"{FOLDER}/runner.apk", "PK")
    phone.write(f"{FOLDER}/model.tflite", "model")
    digest = hashlib.sha256(b"model").hexdigest()
    phone.write(f"{FOLDER}/probe", f"protocol=3\nname=m\nsha256={digest}\nruntime=ai-edge-litert\n")
    return phone


def _run(server: AdbServer, phone: FakePhone, text: str) -> subprocess.CompletedProcess[str]:
    return server.run("-s", phone.serial, "shell", text)


def _session(done: subprocess.CompletedProcess[str], kind: type = Sample) -> Session:
    return complete_session(messages(bounded_lines(io.BytesIO(done.stdout.encode()))), kind)


def test_a_session(adb_server: AdbServer, ready: FakePhone) -> None:
    session = _session(_run(adb_server, ready, f"taskset f0 env {APP_PROCESS}{OPTIONS}"))
    assert session.hello.threads == 2
    assert session.before is not None
    assert session.before.cpus_allowed == "4,5,6,7"
    assert ready.calls("taskset")[0][:2] == ["taskset", "f0"]


def test_a_pair(adb_server: AdbServer, ready: FakePhone) -> None:
    second = f" artifact.b={FOLDER}/model.tflite probe.b={FOLDER}/probe b_first=true block=1"
    text = (APP_PROCESS + OPTIONS + second).replace("kind=time", "kind=pair")
    assert len(_session(_run(adb_server, ready, text), PairSample).hellos) == 2


def test_refusals(adb_server: AdbServer, ready: FakePhone) -> None:
    with pytest.raises(UsageError, match="thraeds"):
        _session(_run(adb_server, ready, f"{APP_PROCESS}{OPTIONS} thraeds=1"))
    ready.write(f"{FOLDER}/model.tflite", "another")
    with pytest.raises(ParityError, match="SHA-256"):
        _session(_run(adb_server, ready, APP_PROCESS + OPTIONS))


def test_no_classpath(adb_server: AdbServer, phone: FakePhone) -> None:
    done = _run(adb_server, phone, APP_PROCESS + OPTIONS)
    assert done.returncode == 134
    assert "ClassNotFoundException" in done.stderr


def test_an_activity_writes_to_its_file(adb_server: AdbServer, ready: FakePhone) -> None:
    started = "am start -n org.cnnexport.bench/.RunActivity --es options "
    out = "/data/local/tmp/cnn-bench/out.jsonl"
    options = "'" + OPTIONS.replace(" ", "\n") + f"\nout={out}'"
    assert "does not exist" in _run(adb_server, ready, started + options).stdout
    _run(adb_server, ready, f"pm install {FOLDER}/runner.apk")
    _run(adb_server, ready, started + options)
    done = _run(adb_server, ready, f"while [ ! -f {out} ]; do sleep 0.1; done; cat {out}")
    session = _session(done)
    assert session.after is not None
    assert session.after.launch == "activity"


@pytest.mark.parametrize(
    ("faults", "code", "reason"),
    [
        (RunnerFaults(kill_after_lines=4), 137, "before its 'end'"),
        (RunnerFaults(half_line=5), 0, "damaged"),
        (RunnerFaults(lines_after_end=2), 0, "after its 'end'"),
        (RunnerFaults(clock_backwards_line=4), 0, "damaged"),
    ],
)
def test_faults_that_cost_the_session(
    adb_server: AdbServer, ready: FakePhone, faults: RunnerFaults, code: int, reason: str
) -> None:
    ready.faults = Faults(runner=faults)
    done = _run(adb_server, ready, APP_PROCESS + OPTIONS)
    assert done.returncode == code
    with pytest.raises(IncompleteRun, match=reason):
        _session(done)


def test_faults_that_do_not(adb_server: AdbServer, ready: FakePhone) -> None:
    ready.faults = Faults(runner=RunnerFaults(noise=True, escapes=True, exit_code=3))
    done = _run(adb_server, ready, APP_PROCESS + OPTIONS)
    assert done.returncode == 3
    assert "tflite  :" in done.stdout
    assert "\x1b[2J" in _session(done).hello.version


def test_the_cable_is_pulled_in_the_middle(adb_server: AdbServer, ready: FakePhone) -> None:
    ready.faults = Faults(unplug_after_lines=5)
    done = _run(adb_server, ready, APP_PROCESS + OPTIONS)
    assert done.returncode != 0
    with pytest.raises(ExportError):
        _session(done)
    assert not ready.daemon.plugged


def test_the_phone_reboots_in_the_middle(adb_server: AdbServer, ready: FakePhone) -> None:
    ready.faults = Faults(reboot_after_lines=3, reboot_s=0.2)
    assert _run(adb_server, ready, APP_PROCESS + OPTIONS).returncode != 0
    adb_server.wait_for(ready.serial, "device")
    assert ready.path(f"{FOLDER}/model.tflite").exists()
