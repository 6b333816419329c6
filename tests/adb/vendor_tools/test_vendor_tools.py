"""``cnn-bench run --runner``: the runtimes' own tools on the phone, beside ours."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_stand_in
from bench_calls import Bench, records
from phone.adb_server import AdbServer
from phone.fake_phone import FakePhone
from stand_in_tools import write_elf, write_tool

OUT = Path("results.jsonl")
PERF_TEST = "onnxruntime_perf_test"


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    folder = tmp_path / "my tools"
    folder.mkdir()
    (folder / "libonnxruntime.so").write_bytes(b"library")
    return write_tool(folder / PERF_TEST, PERF_TEST)


def test_an_opinion_stands_beside_ours(
    phone: FakePhone, bench: Bench, model: Path, tool: Path
) -> None:
    done = bench("run", model, "--device", "adb", "--runner", f"{PERF_TEST}={tool}")
    assert done.code == 0, done.err
    [opinion] = records(OUT, "opinion")
    assert (opinion["tool"], opinion["count"], opinion["median_ns"]) == (PERF_TEST, 5, 98_700_000)
    assert opinion["raw_ns"][0] == 95_800_000
    ours = sum(len(each["samples_ns"]) for each in records(OUT, "repeat"))
    assert ours == 24  # none of the tool's five
    row = next(line for line in done.out.splitlines() if PERF_TEST in line)
    assert "median" in row
    assert "98.700" in row
    assert "%" in row
    [call] = phone.read("/.phone/tool_calls").splitlines()
    assert f"{PERF_TEST} -e cpu -I -x 1 -y 1 -t 1 " in call
    assert phone.read("/.phone/tool_folder").split() == ["libonnxruntime.so", PERF_TEST]
    assert not phone.path("/data/local/tmp/cnn-bench").exists()


def test_the_document_has_the_difference(bench: Bench, phone: FakePhone, model: Path, tool: Path):
    done = bench("run", model, "--device", "adb", "--runner", f"{PERF_TEST}={tool}", "--json")
    [opinion] = json.loads(done.out)["opinions"]
    expected = 100 * (98_700_000 / opinion["ours_ns"] - 1)
    assert opinion["difference_percent"] == pytest.approx(expected)
    assert opinion["figure"] == "median"


def test_each_tool_gets_its_own_format(bench: Bench, phone: FakePhone, tmp_path: Path) -> None:
    paths = [tmp_path / "net.tflite", tmp_path / "net.pte"]
    for path, target in zip(paths, ("tflite", "executorch"), strict=True):
        write_stand_in(path)
        save_manifest(path, manifest_of(path, target))
    tools = [
        f"{name}={write_tool(tmp_path / name, name)}"
        for name in ("executor_runner", "benchmark_model")
    ]
    words = [word for tool in tools for word in ("--runner", tool)]
    apk = ("--app", _whole_app(tmp_path))
    done = bench("run", *paths, "--device", "adb", "--cpus", "4,5", *words, *apk)
    assert done.code == 0, done.err
    found = {each["tool"]: each for each in records(OUT, "opinion")}
    assert found["benchmark_model"]["average_ns"] == 10_874_300
    assert found["executor_runner"]["raw_ns"] == [24_200_000, 9_800_000, 10_000_000]
    assert found["executor_runner"]["conditions"]["cpus"] == [4, 5]
    assert phone.calls("taskset")[-1][1] == "30"
    assert len(phone.read("/.phone/tool_calls").splitlines()) == 2


def _whole_app(folder: Path) -> Path:
    import zipfile

    path = folder / "whole.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AndroidManifest.xml", b"\x03\x00")
        archive.writestr("classes.dex", b"dex\n038\0")
        for name in ("tensorflowlite_jni", "executorch", "executorch_jni"):
            archive.writestr(f"lib/arm64-v8a/lib{name}.so", name)
    return path


def test_hostile_output_costs_the_opinion_and_nothing_else(
    bench: Bench, phone: FakePhone, model: Path, tool: Path
) -> None:
    write_tool(tool, PERF_TEST, "\x1b[2JTotal inference requests: 5\x1b]0;owned\x07")
    words = ("run", model, "--device", "adb", "--runner", f"{PERF_TEST}={tool}")
    done = bench(*words)
    assert done.code == 1
    assert "onnxruntime_perf_test reports no times" in done.err
    assert "\x1b" not in done.out + done.err
    assert len(records(OUT, "repeat")) == 2
    write_tool(tool, PERF_TEST)
    assert bench(*words, "--resume").code == 0
    assert len(records(OUT, "opinion")) == 1
    assert len(records(OUT, "repeat")) == 2


def test_a_tool_that_fails_says_why(bench: Bench, phone: FakePhone, model: Path, tool: Path):
    write_tool(tool, PERF_TEST, "CANNOT LINK EXECUTABLE", exit_code=1)
    done = bench("run", model, "--device", "adb", "--runner", f"{PERF_TEST}={tool}")
    assert done.code == 1
    assert "ended with exit code 1: …CANNOT LINK EXECUTABLE" in done.err


def test_a_phone_that_is_lost_under_the_tool(
    bench: Bench, adb_server: AdbServer, phone: FakePhone, model: Path, tool: Path
) -> None:
    usual = tool.read_text()
    tool.write_text('#!/bin/sh\ntouch "$PHONE_ROOT/.phone/begun"\nexec sleep 60\n')

    def pull() -> None:
        while not phone.path("/.phone/begun").exists():
            time.sleep(0.01)
        phone.unplug()

    threading.Thread(target=pull, daemon=True).start()
    words = ("run", model, "--device", "adb", "--runner", f"{PERF_TEST}={tool}")
    done = bench(*words)
    assert done.code == 12, done.err
    assert len(records(OUT, "repeat")) == 2
    phone.plug()
    adb_server.wait_for(phone.serial, "device")
    tool.write_text(usual)
    assert bench(*words, "--resume").code == 0
    assert len(records(OUT, "opinion")) == 1
    assert len(records(OUT, "repeat")) == 2


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--runner", "perf_test=x"), 2, "there is no runner 'perf_test'"),
        (("--runner", PERF_TEST), 2, "not of the form NAME=PATH"),
        (("--runner", f"{PERF_TEST}=missing"), 4, "there is no onnxruntime_perf_test at missing"),
        (("--runner", f"{PERF_TEST}=wrong"), 4, "wrong is built for x86_64, the phone runs arm64"),
        (("--runner", f"{PERF_TEST}=text"), 4, "text is no program for Android"),
        (("--runner", f"{PERF_TEST}=right", "--device", "host"), 2, "is for phones"),
        (("--runner", f"{PERF_TEST}=right", "--compare"), 2, "leave --compare out"),
    ],
)
def test_refused_before_anything_runs(
    bench: Bench, phone: FakePhone, model: Path, words: tuple[str, ...], code: int, reason: str
) -> None:
    write_elf(Path("wrong"), 62)
    write_elf(Path("right"), 183)
    Path("text").write_text("no program")
    models = [model] * 2 if "--compare" in words else [model]
    device = () if "--device" in words else ("--device", "adb")
    done = bench("run", *models, *device, *words)
    assert done.code == code, done.err
    assert reason in done.err
    assert not OUT.exists()
    assert phone.calls("app_process") == []


def test_an_argument_that_the_tool_does_not_know(bench: Bench, phone: FakePhone, tmp_path: Path):
    path = tmp_path / "net.tflite"
    write_stand_in(path)
    save_manifest(path, manifest_of(path, "tflite"))
    tool = write_tool(tmp_path / "benchmark_model", "benchmark_model")
    words = ("--runtime-arg", "xnnpack=off", "--runner", f"benchmark_model={tool}")
    done = bench("run", path, "--device", "adb", *words, "--app", _whole_app(tmp_path))
    assert done.code == 0, done.err
    assert "--use_xnnpack=false" in phone.read("/.phone/tool_calls")
