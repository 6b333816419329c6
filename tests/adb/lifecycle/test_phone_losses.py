"""Whatever ends a run on a phone: its settings come back, nothing measured is lost, it goes on.

The whole command runs as a process of its own before the real adb; faults are those of cables,
servers, phones and users.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from bench_calls import Bench, records
from phone.adb_fixture import Phones
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults

OUT = Path("results.jsonl")
STAY_ON = "global/stay_on_while_plugged_in"
HANGING = Faults(runner=RunnerFaults(hang_after_lines=1))
"""The runner says hello and then nothing more: the timed part never ends."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(apk: Path, model: Path, tmp_path: Path, adb_server: AdbServer) -> Generator[Start]:
    """``cnn-bench run`` on the model, as a process that a test may kill."""
    begun: list[subprocess.Popen[str]] = []

    def call(*words: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cnn_export.benchmarks", "run", str(model)]
        command += ["--app", str(apk), "--min-time", "10ms", "--repeats", "2", *map(str, words)]
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=adb_server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield call
    for process in begun:
        process.kill()
        process.communicate()


def _until(holds: Callable[[], bool], within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.02)


def _changed(phone: FakePhone) -> bool:
    return phone.settings.get(STAY_ON) == "7" and phone.fixed_performance


def _restored(phone: FakePhone) -> bool:
    """Whether the phone is as it was, with nothing of ours left on it."""
    return (
        STAY_ON not in phone.settings
        and not phone.fixed_performance
        and not phone.awake
        and [path.name for path in phone.path("/data/local/tmp").iterdir()] == []
    )


def _sleeping(phone: FakePhone) -> FakePhone:
    phone.write("/.phone/screen", "Asleep\n")
    return phone


def _measuring(phone: FakePhone, processes: int = 1) -> Callable[[], bool]:
    return lambda: len(phone.calls("app_process")) >= processes and _changed(phone)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_command_leaves_the_phone_as_it_was(
    phone: FakePhone, start: Start, bench: Bench, model: Path, number: signal.Signals
) -> None:
    _sleeping(phone)
    # The memory pass has fewer lines than this and is kept; the first timed process hangs.
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=8))
    process = start("--device", "adb")
    _until(_measuring(phone, 2))
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    _until(lambda: _restored(phone))
    [memory] = records(OUT, "memory")
    assert records(OUT, "repeat") == []
    phone.faults = Faults()
    done = bench("run", model, "--device", "adb", "--resume")
    assert done.code == 0, done.err
    assert len(records(OUT, "repeat")) == 2
    assert records(OUT, "memory") == [memory]
    assert _restored(phone)


def test_a_restarted_adb_server_repeats_the_process_and_the_settings(
    adb_server: AdbServer, phone: FakePhone, start: Start
) -> None:
    _sleeping(phone)
    phone.faults = HANGING
    process = start("--device", f"adb:{phone.serial}")
    _until(_measuring(phone))
    phone.faults = Faults()
    adb_server.kill()
    _until(lambda: _restored(phone))
    adb_server.start()
    adb_server.connect(phone.address)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "affine.onnx" in out
    assert len(phone.calls("app_process")) == 1 + 3
    assert _restored(phone)


def test_a_reboot_is_waited_for_and_its_settings_are_put_back(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.faults = Faults(reboot_after_lines=1, reboot_s=0.5)
    before: list[str] = []
    phone.on_plugged = _first(phone.on_plugged, lambda: before.append(str(phone.settings)))
    done = bench("run", model, "--device", "adb")
    assert done.code == 0, done.err
    assert "'7'" in before[0]  # nobody could put it back while the phone went down
    assert STAY_ON not in phone.settings
    assert not phone.fixed_performance
    assert len(records(OUT, "repeat")) == 2


def _first(then: Callable[[], None], work: Callable[[], Any]) -> Callable[[], None]:
    def both() -> None:
        work()
        then()

    return both


def test_a_phone_that_stays_away_ends_the_run_with_everything_kept(
    adb_server: AdbServer, phone: FakePhone, bench: Bench, model: Path
) -> None:
    words = ("run", model, "--device", "adb", "--reconnect", "1s")
    phone.faults = Faults(unplug_after_lines=20)
    done = bench(*words)
    assert done.code == 12
    assert "did not come back in 1 s" in done.err
    assert "of 3 processes are kept in results.jsonl; go on with the same command and" in done.err
    assert "stay_on_while_plugged_in may not be back at null" in done.err
    _until(lambda: STAY_ON not in phone.settings and not phone.fixed_performance)
    assert len(records(OUT, "repeat")) < 2
    phone.faults = Faults()
    phone.plug()
    adb_server.wait_for(phone.serial, "device")
    assert bench(*words, "--resume").code == 0
    assert len(records(OUT, "repeat")) == 2


def test_what_a_reboot_left_changed_is_put_back_by_the_next_run(
    adb_server: AdbServer, phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.faults = Faults(reboot_after_lines=1, reboot_s=2)
    assert bench("run", model, "--device", "adb", "--reconnect", "0s").code == 12
    assert phone.settings[STAY_ON] == "7"
    phone.faults = Faults()
    adb_server.wait_for(phone.serial, "device")
    assert phone.path("/data/local/tmp/cnn-bench.guardian/journal").exists()
    done = bench("run", model, "--device", "adb", "--resume")
    assert done.code == 0, done.err
    assert STAY_ON not in phone.settings


def test_a_process_that_brings_the_phone_down_is_given_up(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.faults = Faults(reboot_after_lines=1, reboot_s=0.2)

    def again() -> None:
        phone.faults = Faults(reboot_after_lines=1, reboot_s=0.2)

    phone.on_plugged = _first(phone.on_plugged, again)
    done = bench("run", model, "--device", "adb")
    assert done.code == 12
    assert "lost 3 times in one process" in done.err


def test_a_full_phone_ends_with_12_and_is_left_as_it_was(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.free_bytes = 1000
    done = bench("run", model, "--device", "adb")
    assert done.code == 12
    assert "no space left" in done.err
    assert STAY_ON not in phone.settings
    phone.free_bytes = 50 << 30
    assert bench("run", model, "--device", "adb", "--resume").code == 0


def test_a_second_command_on_the_same_phone_is_refused(
    phone: FakePhone, start: Start, bench: Bench, model: Path
) -> None:
    phone.faults = HANGING
    first = start("--device", "adb", "--out", "first.jsonl")
    _until(_measuring(phone))
    done = bench("run", model, "--device", "adb")
    assert done.code == 12
    assert "another cnn-bench holds phone" in done.err
    assert _changed(phone)
    first.terminate()
    first.communicate(timeout=20)
    assert STAY_ON not in phone.settings


def test_a_lost_phone_stops_no_other_and_resume_completes_it(
    adb_server: AdbServer, phones: Phones, bench: Bench, model: Path
) -> None:
    first, second = phones(2)
    words = ("run", model, "--device", "all", "--reconnect", "1s")
    second.faults = Faults(unplug_after_lines=1)
    done = bench(*words)
    assert done.code == 12
    assert f"{second.serial}: the connection to phone {second.serial} was lost" in done.err
    assert "3 of 6 processes are kept" in done.err
    assert first.serial in done.out
    assert STAY_ON not in first.settings
    second.faults = Faults()
    second.plug()
    adb_server.wait_for(second.serial, "device")
    _until(lambda: STAY_ON not in second.settings)
    done = bench(*words, "--resume")
    assert done.code == 0, done.err
    runs = {run["run_id"]: run["device"]["id"] for run in records(OUT, "run")}
    assert sorted(runs.values()) == sorted([first.serial, second.serial])
    measured = [runs[repeat["run_id"]] for repeat in records(OUT, "repeat")]
    assert sorted(measured) == sorted([first.serial] * 2 + [second.serial] * 2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_leaves_all_phones_as_they_were(
    phones: Phones, start: Start, bench: Bench, model: Path, number: signal.Signals
) -> None:
    both = [_sleeping(phone) for phone in phones(2)]
    for phone in both:
        phone.faults = HANGING
    names = [word for phone in both for word in ("--device", f"adb:{phone.serial}")]
    process = start(*names)
    for phone in both:
        _until(_measuring(phone))
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    for phone in both:
        _until(lambda phone=phone: _restored(phone))
        phone.faults = Faults()
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert all(f"{phone.serial}: interrupted" in err for phone in both), err
    done = bench("run", model, *names, "--resume")
    assert done.code == 0, done.err
    assert len(records(OUT, "repeat")) == 4


def test_a_pulled_cable_between_processes_is_survived(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    """The settings are gone with the cable; the next process does not run without them."""
    runner = phone.path("/.phone/runner")
    whole = runner.read_text()
    mark = phone.path("/data/seen")
    probe = f'cat "{phone.path("/.phone/fixed_performance")}" >>"{mark}"'
    runner.write_text(whole.replace("unset", f"{probe}\nunset", 1))

    def pull() -> None:
        while len(phone.calls("app_process")) < 1:
            time.sleep(0.01)
        time.sleep(0.4)
        phone.unplug()
        time.sleep(0.3)
        phone.plug()

    puller = threading.Thread(target=pull, daemon=True)
    puller.start()
    done = bench("run", model, "--device", "adb", "--repeats", 4)
    puller.join()
    assert done.code == 0, done.err
    assert set(mark.read_text().split()) == {"true"}
    assert len(records(OUT, "repeat")) == 4
