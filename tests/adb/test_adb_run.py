"""``cnn-bench run --device adb`` from end to end: the real adb before a phone made of processes."""

from __future__ import annotations

from pathlib import Path

from bench_calls import Bench, records
from phone.fake_phone import FakePhone

STAGE = "/data/local/tmp/cnn-bench"


def test_a_run_is_recorded_as_on_the_host(phone: FakePhone, bench: Bench, model: Path) -> None:
    done = bench("run", model, "--device", "adb")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert "affine.onnx" in done.out
    out = Path("results.jsonl")
    [run] = records(out, "run")
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
    repeats = records(out, "repeat")
    assert [len(each["samples_ns"]) for each in repeats] == [12, 12]
    assert {each["runtime_version"] for each in repeats} == {"0.stand-in"}
    assert (repeats[0]["load_ns"], repeats[0]["first_ns"]) == (5_000_000, 2_000_000)
    assert len(records(out, "memory")) == 1
    assert not phone.path(STAGE).exists()
