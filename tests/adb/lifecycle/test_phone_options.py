"""How a phone is treated, as a user asks for it: options, what is recorded, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from bench_calls import Bench, records
from phone.adb_fixture import Phones
from phone.fake_phone import FakePhone
from phone.phone_spec import PhoneSpec
from phone.reports import Battery, Thermal

from cnn_export.benchmarks.artifacts.artifacts import read_artifacts
from cnn_export.benchmarks.run.plan import plan_invocations

OUT = Path("results.jsonl")


def test_what_was_changed_is_recorded_with_its_earlier_value(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.write("/.phone/settings/global/stay_on_while_plugged_in", "3\n")
    phone.write("/.phone/screen", "Dozing\n")
    assert bench("run", model, "--device", "adb").code == 0
    assert records(OUT, "run")[0]["settings"] == [
        {"name": "stay_on_while_plugged_in", "before": "3", "during": "7"},
        {"name": "screen", "before": "off", "during": "on"},
        {"name": "fixed_performance", "before": "unknown", "during": "on"},
    ]
    assert phone.settings == {"global/stay_on_while_plugged_in": "3"}


def test_a_hot_phone_is_waited_for_and_then_measured_with_a_flag(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.thermal = Thermal(skin_c=39.0)
    done = bench("run", model, "--device", "adb", "--wait", "200ms")
    assert done.code == 0
    assert f"cnn-bench: {phone.serial}: waiting, at most 0 s more: hot (39.0 °C" in done.err
    assert {tuple(each["conditions"]["flags"]) for each in records(OUT, "repeat")} == {("hot",)}
    assert "hot: the phone was above --max-temperature when the wait was over." in done.out
    warmer = ("--wait", "0s", "--max-temperature", "39.5", "--out", "warmer.jsonl")
    assert bench("run", model, "--device", "adb", *warmer).code == 0
    assert {tuple(r["conditions"]["flags"]) for r in records(Path("warmer.jsonl"), "repeat")} == {
        ()
    }


def test_strict_refuses_an_unfit_phone_before_anything_is_changed(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    phone.battery = Battery(level=12, plugged=False)
    done = bench("run", model, "--device", "adb", "--strict")
    assert done.code == 12
    assert "low_battery (--strict); nothing was run" in done.err
    assert not OUT.exists()
    assert "put" not in [words[1] for words in phone.calls("settings")]
    assert bench("run", model, "--device", "adb", "--strict", "--min-battery", 10).code == 0


def test_with_and_without_fixed_performance_is_not_the_same(
    phone: FakePhone, bench: Bench, model: Path
) -> None:
    assert bench("run", model, "--device", "adb", "--out", "fixed.jsonl").code == 0
    free = ("run", model, "--device", "adb", "--fixed-performance", "off", "--out", "free.jsonl")
    assert bench(*free).code == 0
    done = bench("compare", "fixed.jsonl", "free.jsonl")
    assert "fixed-performance mode on → off" in " ".join(done.out.split())
    Path("b.toml").write_text("[[budget]]\nregression_percent = 3.0\n")
    done = bench("gate", "free.jsonl", "--baseline", "fixed.jsonl", "--budgets", "b.toml")
    assert done.code == 4
    assert "fixed-performance mode on → off" in done.err
    resumed = ("run", model, "--device", "adb", "--resume", "--out", "free.jsonl")
    done = bench(*resumed)
    assert done.code == 2
    assert "had fixed-performance mode off, this command on" in done.err


def test_fixed_performance_on_an_old_phone_is_refused_by_name(
    phones: Phones, bench: Bench, model: Path
) -> None:
    [old] = phones(1, PhoneSpec(api=28))
    words = ("run", model, "--device", "adb")
    done = bench(*words, "--fixed-performance", "on")
    assert done.code == 2
    assert "needs Android 11 (API level 30), this phone has API level 28" in done.err
    assert not old.settings
    assert bench(*words).code == 0
    changes = records(OUT, "run")[0]["settings"]
    assert [change["name"] for change in changes] == ["stay_on_while_plugged_in"]


@pytest.mark.parametrize(
    "words",
    [("--launch", "activity"), ("--wait", "1s"), ("--max-temperature", "40"), ("--keep",)],
)
def test_options_for_phones_are_refused_for_the_host(
    bench: Bench, model: Path, words: tuple[str, ...]
) -> None:
    done = bench("run", model, *words)  # which gives --app besides
    assert done.code == 2
    assert "is for phones; leave it out, or give --device adb" in done.err


def test_the_host_beside_a_phone_is_refused(phone: FakePhone, bench: Bench, model: Path) -> None:
    done = bench("run", model, "--device", "adb", "--device", "host")
    assert done.code == 2
    assert "--device host is measured by itself" in done.err


@pytest.mark.parametrize("value", ["-1s", "2h", "soon"])
def test_waits_are_durations(phone: FakePhone, bench: Bench, model: Path, value: str) -> None:
    assert bench("run", model, "--device", "adb", "--wait", value).code == 2


def test_artifacts_take_turns_on_a_phone_as_the_plan_says(
    phone: FakePhone, bench: Bench, model: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    words = ("--device", "adb", "--repeats", 4, "--seed", 11)
    assert bench("run", model, second, *words).code == 0
    found = read_artifacts([model, second], lambda _: None)
    planned = [each.artifacts[0].sha256 for each in plan_invocations(found, [1], 4, 11)]
    asked = [dict(w.partition("=")[::2] for w in call) for call in phone.calls("app_process")]
    assert [Path(each["artifact"]).name.partition(".")[0] for each in asked] == planned
    assert [each["artifact"] for each in records(OUT, "repeat")] == planned[2:]
