"""From artifacts to a verdict without a phone: everything real but the phone itself.

The real adb client and server, the app's own classes, ONNX Runtime and TFLite inferring. Times mean
nothing: the machine is this one.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
from affine_artifact import write_stand_in
from cost_networks import save_onnx
from phone.adb_fixture import Phones
from phone.fake_phone import FakePhone
from whole_path_calls import Bench, Jvm

from cnn_export.manifest.manifest import manifest_path
from cnn_export.untrusted.artifact_digest import artifact_digest

LIBRARIES = ("libtensorflowlite_jni.so", "libonnxruntime.so", "libonnxruntime4j_jni.so")
"""Of the APK that is pushed: the phone's `app_process` has the JVM's own in their place."""
DECIDING = 6
"""Processes from which on a median has a 95 % interval, so that a gate can decide."""
BUDGET = """\
[[budget]]
target = "%s"
latency_ms = 10000.0
mac_bytes = 100_000_000
peak_memory_bytes = 2_000_000_000
"""


@pytest.fixture
def apk(tmp_path: Path) -> Path:
    path = tmp_path / "app.apk"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AndroidManifest.xml", b"\x03\x00")
        archive.writestr("classes.dex", b"dex\n038\0")
        for name in LIBRARIES:
            archive.writestr(f"lib/arm64-v8a/{name}", name)
    return path


def records(path: Path, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, path.read_text().splitlines())
    return [line for line in lines if line["cnn_bench"] == kind]


def test_measure_judge_report_compare(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path
) -> None:
    quick = ("--device", "adb", "--app", apk, "--min-time", "20ms")
    run = bench("run", *skipnet, *quick, "--repeats", DECIDING)
    assert run.code == 0, run.err
    out = tmp_path / "results.jsonl"
    repeats = records(out, "repeat")
    runtimes = sorted(each["runtime"] for each in repeats)
    assert runtimes == ["ai-edge-litert"] * DECIDING + ["onnxruntime"] * DECIDING
    assert all(len(each["samples_ns"]) >= 10 for each in repeats)
    assert all(each["peak_rss_bytes"] > 10_000_000 for each in records(out, "memory"))
    assert [each["device"]["kind"] for each in records(out, "run")] == ["adb"]
    assert not app_phone.path("/data/local/tmp/cnn-bench").exists()

    (tmp_path / "budgets.toml").write_text(BUDGET % "tflite" + BUDGET % "onnx")
    judged = bench("gate", out, "--budgets", "budgets.toml", "--json")
    assert judged.code == 0, judged.out + judged.err
    (tmp_path / "tight.toml").write_text((BUDGET % "tflite").replace("10000.0", "0.000001"))
    assert bench("gate", out, "--budgets", "tight.toml", "--allow-unmatched").code == 10

    drawn = bench("report", out, "-o", "report.html")
    assert drawn.code == 0, drawn.err
    page = (tmp_path / "report.html").read_text()
    assert app_phone.spec.model in page

    again = bench("run", *skipnet, *quick, "--repeats", 2, "--out", "again.jsonl")
    assert again.code == 0, again.err
    compared = bench("compare", out, "again.jsonl", "--json")
    assert compared.code == 0, compared.err


def test_two_artifacts_take_turns_in_one_process(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path
) -> None:
    quick = ("--app", apk, "--min-time", "20ms", "--repeats", 2, "--compare")
    run = bench("run", *skipnet, "--device", "adb", *quick)
    assert run.code == 0, run.err
    pairs = records(tmp_path / "results.jsonl", "pair")
    assert [pair["b_first"] for pair in pairs] in ([True, False], [False, True])
    assert all(len(pair["a_ns"]) == len(pair["b_ns"]) >= 10 for pair in pairs)


def test_a_file_that_is_not_the_proven_one_is_refused_by_the_app(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path
) -> None:
    """The manifest expects other outputs than the file gives: only inferring can tell."""
    path = tmp_path / skipnet[1].name
    shutil.copy(skipnet[1], path)
    manifest = json.loads(manifest_path(skipnet[1]).read_text())
    [output] = manifest["probe"]["outputs"]
    values = output["values"]
    place = max(range(len(values)), key=lambda each: abs(values[each]))
    values[place] *= -1  # the RMS stays, so that the manifest alone tells nothing
    manifest_path(path).write_text(json.dumps(manifest))
    run = bench("run", path, "--device", "adb", "--app", apk, "--min-time", "20ms", "--repeats", 1)
    assert (run.code, "is off by" in run.err) == (3, True), run.err


@pytest.mark.parametrize("index", [0, 1], ids=["tflite", "onnx"])
def test_a_file_that_the_runtime_rejects(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path, index: int
) -> None:
    """The right file for its manifest, and well formed, but no model that runs."""
    path = tmp_path / skipnet[index].name
    if path.suffix == ".tflite":
        write_stand_in(path)
    else:
        node = onnx.helper.make_node("NoSuchOperator", ["image"], ["logits"])
        save_onnx(path, [node], {"image": [1, 1, 28, 28]}, {"logits": [1, 10]})
    manifest = json.loads(manifest_path(skipnet[index]).read_text())
    manifest["producer"] = "another tool"  # what cnn-export writes tells where it is from
    manifest["partitions"].update(delegated_ops=1, outside=[])
    manifest["artifact_sha256"], manifest["artifact_bytes"] = artifact_digest(path)
    manifest_path(path).write_text(json.dumps(manifest))
    run = bench("run", path, "--device", "adb", "--app", apk, "--min-time", "20ms", "--repeats", 1)
    assert (run.code, run.err.count("\n")) == (4, 1), run.err
    assert "cannot load" in run.err


def test_an_app_that_was_started_another_way_is_not_believed(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path
) -> None:
    """Here "the activity" is the shell's launch, unchanged: its report says so."""
    activity = app_phone.path("/.phone/activity")
    activity.unlink()
    activity.write_text(
        '#!/bin/sh\nexec "$PHONE_ROOT/.phone/runner" org.cnnexport.bench.Main "$@"\n'
    )
    activity.chmod(0o755)
    words = ("--device", "adb", "--app", apk, "--repeats", 1, "--launch", "activity")
    run = bench("run", skipnet[1], *words)
    assert run.code == 1
    assert "started by app_process, not by activity" in run.err


def test_the_installed_app_measures_on_two_phones(
    phones: Phones, jvm: Jvm, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path
) -> None:
    both = phones(2)
    for each in both:
        each.use_jvm_runner(jvm.classpath, jvm.natives)
    quick = ("--app", apk, "--min-time", "20ms", "--repeats", 1, "--launch", "activity")
    run = bench("run", skipnet[1], "--device", "all", *quick)
    assert run.code == 0, run.err
    out = tmp_path / "results.jsonl"
    devices = [each["device"] for each in records(out, "run")]
    assert {each["id"] for each in devices} == {each.serial for each in both}
    assert {each["launch"] for each in devices} == {"activity"}
    assert len(records(out, "repeat")) == 2
    assert not any(each.path("/data/app/org.cnnexport.bench").exists() for each in both)


def test_traffic_is_counted_under_the_app(
    app_phone: FakePhone, skipnet: list[Path], bench: Bench, apk: Path, tmp_path: Path
) -> None:
    """The inferences are the app's own; only the counters are made up."""
    listing = "  raw-l3d-cache-refill (supported on cpu 0-7)\t\t# Level 3 cache refill\n"
    app_phone.give_simpleperf(listing, {"raw-l3d-cache-refill": (50_000, 700)})
    quick = ("--device", "adb", "--app", apk, "--min-time", "200ms", "--repeats", 1)
    run = bench("run", skipnet[1], *quick)
    assert run.code == 0, run.err
    [traffic] = records(tmp_path / "results.jsonl", "traffic")
    assert traffic["inferences"] >= 10
    assert [each["per_inference"] for each in traffic["levels"]] == [700]
