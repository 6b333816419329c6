"""``cnn-bench run --device adb`` from end to end: the real adb before a phone made of processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from bench_calls import Bench, records
from phone.adb_fixture import Phones
from phone.fake_phone import FakePhone
from phone.faults import Faults, RunnerFaults
from phone.phone_spec import PhoneSpec
from phone.reports import Battery, Thermal

OUT = Path("results.jsonl")
STAGE = "/data/local/tmp/cnn-bench"


def test_a_run_is_recorded_as_on_the_host(phone: FakePhone, bench: Bench, model: Path) -> None:
    done = bench("run", model, "--device", "adb")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "affine.onnx" in done.out
    [run] = records(OUT, "run")
    assert run["device"] == {
        "id": phone.serial,
        "kind": "adb",
        "model": "Paper Pixel of paper",
        "cpus": 8,
        "memory_bytes": phone.spec.memory_kib * 1024,
        "system": run["device"]["system"],
        "governor": "schedutil",
        "soc": "Paper P1",
        "abi": "arm64-v8a",
        "api_level": 34,
        "build": run["device"]["build"],
        "launch": "app_process",
    }
    assert run["device"]["system"].startswith("Android 14, ")
    repeats = records(OUT, "repeat")
    assert [len(each["samples_ns"]) for each in repeats] == [12, 12]
    assert {each["runtime_version"] for each in repeats} == {"0.stand-in"}
    assert (repeats[0]["load_ns"], repeats[0]["first_ns"]) == (5_000_000, 2_000_000)
    conditions = [each["conditions"] for each in repeats]
    assert {each["thermal_headroom"] for each in conditions} == {0.4}
    assert {each["available_memory_bytes"] for each in conditions} == {4_000_000_000}
    assert len(records(OUT, "memory")) == 1
    assert not phone.path(STAGE).exists()


def test_a_pair_is_interleaved_there(
    phone: FakePhone, bench: Bench, model: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    words = ("--device", "adb", "--compare", "--block", 3, "--threads", "2", "--seed", 4)
    done = bench("run", model, second, *words)
    assert done.code == 0, done.err
    pairs = records(OUT, "pair")
    assert sorted(each["b_first"] for each in pairs) == [False, True]
    assert {len(each["a_ns"]) for each in pairs} == {12}
    asked = dict(word.partition("=")[::2] for word in phone.calls("app_process")[0][3:])
    assert (asked["kind"], asked["threads"], asked["block"]) == ("pair", "2", "3")
    assert asked["artifact"] != asked["artifact.b"]


@pytest.mark.parametrize(
    ("name", "mask", "cpus"),
    [("big", "f0", [4, 5, 6, 7]), ("little", "f", [0, 1, 2, 3]), ("0,7", "81", [0, 7])],
)
def test_a_process_is_bound_to_cores(
    phone: FakePhone, bench: Bench, model: Path, name: str, mask: str, cpus: list[int]
) -> None:
    assert bench("run", model, "--device", "adb", "--cpus", name).code == 0
    assert [mask, "app_process64"] in [call[1:3] for call in phone.calls("taskset")]
    assert records(OUT, "run")[0]["cpus"] == cpus
    assert {tuple(each["conditions"]["cpus"]) for each in records(OUT, "repeat")} == {tuple(cpus)}


def test_a_phone_that_binds_to_other_cores_is_not_believed(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    taskset = phone.path("/system/bin/taskset")
    taskset.unlink()
    taskset.write_text('#!/bin/sh\nshift\nPHONE_CPUS=0-3 exec "$@"\n')
    taskset.chmod(0o755)
    done = bench("run", model, "--device", "adb", "--cpus", "big")
    assert done.code == 1
    assert "on CPUs 0-3, not on 4,5,6,7" in done.err


def test_too_few_cores_are_flagged(phone: FakePhone, bench: Bench, model: Path) -> None:
    words = ("--device", "adb", "--cpus", "6,7", "--threads", "4")
    assert bench("run", model, *words).code == 0
    assert all("too_few_cpus" in each["conditions"]["flags"] for each in records(OUT, "repeat"))


def test_runtime_arguments_reach_the_app(phone: FakePhone, bench: Bench, model: Path) -> None:
    words = ("--device", "adb", "--runtime-arg", "spinning=off")
    assert bench("run", model, *words).code == 0
    assert "runtime_arg.spinning=off" in phone.calls("app_process")[0]


def test_all_is_the_only_phone(phone: FakePhone, bench: Bench, model: Path) -> None:
    assert bench("run", model, "--device", "all").code == 0


def test_results_of_two_phones_are_told_apart(
    phones: Phones, bench: Bench, model: Path, tmp_path: Path
) -> None:
    """Everything that differs between the phones is named where they are compared."""
    spec = PhoneSpec(soc="Other P2", api=33, release="13", abis=("x86_64",))
    one, two = phones(2, PhoneSpec(), spec)
    for phone, out in ((one, "a.jsonl"), (two, "b.jsonl")):
        words = ("--device", f"adb:{phone.serial}", "--out", out)
        assert bench("run", model, *words).code == 0
    budgets = tmp_path / "budgets.toml"
    budgets.write_text('[[budget]]\nmodel = "*"\nregression_percent = 3.0\n')
    done = bench("gate", "b.jsonl", "--budgets", budgets, "--baseline", "a.jsonl")
    assert done.code == 4, done
    for field in ("device adb:", "device SoC", "device ABI", "device API level", "device system"):
        assert field in done.err


def test_an_interrupted_run_leaves_nothing_and_goes_on(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    began = phone.settings
    phone.faults = Faults(runner=RunnerFaults(hang_after_lines=3))

    def interrupt() -> None:
        _wait(lambda: bool(phone.calls("app_process")))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    done = bench("run", model, "--device", "adb", "--quiet")
    assert done.code == 130
    assert "go on with the same command and --resume" in done.err
    assert phone.settings == began
    assert not phone.path(STAGE).exists()
    phone.faults = Faults()
    assert bench("run", model, "--device", "adb", "--resume").code == 0
    assert len(records(OUT, "repeat")) == 2


@pytest.fixture
def android_tools(phone: FakePhone) -> FakePhone:
    """A phone with Android's own shell and tools."""
    mksh, toybox = shutil.which("mksh"), shutil.which("toybox")
    if mksh is None or toybox is None:
        pytest.skip("there is no mksh or no toybox (apt-get install mksh toybox)")
    programs = phone.path("/system/bin")
    _replace(programs / "sh", mksh)
    applets = subprocess.run([toybox], capture_output=True, text=True, check=True).stdout
    for name in set(applets.split()) & {path.name for path in programs.iterdir()} - _STAND_INS:
        _replace(programs / name, toybox)
    return phone


_STAND_INS = {"df", "id", "log", "taskset", "pidof", "sh"}


def _replace(place: Path, program: str) -> None:
    place.unlink()
    place.symlink_to(program)


@pytest.mark.parametrize("launch", ["app_process", "activity"])
def test_androids_own_shell_understands_the_scripts(
    android_tools: FakePhone, bench: Bench, model: Path, launch: str
) -> None:
    cpus = ("--cpus", "big") if launch == "app_process" else ()
    done = bench("run", model, "--device", "adb", "--launch", launch, *cpus)
    assert (done.code, done.err.count("\n")) == (0, 1), done.err
    assert len(records(OUT, "repeat")) == 2
    assert "Paper Pixel of paper" in bench("devices").out
    assert not android_tools.path(STAGE).exists()
    assert not android_tools.path("/data/app/org.cnnexport.bench").exists()


def _wait(holds: Callable[[], bool], within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_devices_as_one_document(phone: FakePhone, bench: Bench) -> None:
    phone.battery = Battery(level=41, temperature_c=33.4, plugged=False)
    phone.thermal = Thermal(status=2, skin_c=36.0)
    done = bench("devices", "--json")
    assert (done.code, done.err) == (0, "")
    host, found = json.loads(done.out)["devices"]
    assert host["id"] == "host"
    assert found["id"] == phone.serial
    assert found["state"] == "device"
    assert (found["model"], found["soc"]) == ("Paper Pixel of paper", "Paper P1")
    assert found["abis"] == ["arm64-v8a", "armeabi-v7a"]
    assert (found["api_level"], found["cpus"]) == (34, 8)
    assert found["clusters"] == [
        {"cpus": [0, 1, 2, 3], "max_khz": 1_803_000},
        {"cpus": [4, 5, 6, 7], "max_khz": 2_850_000},
    ]
    assert (found["battery_percent"], found["charging"]) == (41, False)
    assert (found["temperature_c"], found["thermal_status"]) == (36.0, 2)
    assert "4 at 1.80 GHz (0-3), 4 at 2.85 GHz (4-7)" in bench("devices").out
