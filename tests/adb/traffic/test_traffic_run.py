"""Memory traffic per inference: counted where the phone allows it, else the reason is recorded."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from bench_calls import Bench, records
from phone.fake_phone import FakePhone

OUT = Path("results.jsonl")
LISTING = """\
List of raw events provided by cpu pmu:
  raw-l2d-cache-refill (supported on cpu 0-7)\t\t# Level 2 cache refill
  raw-l3d-cache-refill (supported on cpu 4-7)\t\t# Level 3 cache refill
"""
COUNTERS = {"raw-l2d-cache-refill": (70_000, 300), "raw-l3d-cache-refill": (9_000, 20)}
HARDEN = "/.phone/properties/security.perf_harden"


def _traffic(bench: Bench, model: Path, *words: Any) -> dict[str, Any]:
    done = bench("run", model, "--device", "adb", *words, "--min-time", "300ms", "--repeats", 1)
    assert done.code == 0, done.err
    [traffic] = records(OUT, "traffic")
    return traffic


def test_what_an_inference_moves(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf(LISTING, COUNTERS)
    traffic = _traffic(bench, model, "--cpus", "big")
    found = {each["level"]: each for each in traffic["levels"]}
    assert {name: each["per_inference"] for name, each in found.items()} == {"l2": 300, "l3": 20}
    assert found["l3"]["bytes_per_event"] == 64
    assert traffic["inferences"] == 270
    assert "reason" not in traffic
    assert phone.read(HARDEN) == "1\n"
    assert not phone.path("/data/local/tmp/cnn-bench").exists()


def test_levels_that_only_some_cores_count(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf(LISTING, COUNTERS)
    assert [each["level"] for each in _traffic(bench, model)["levels"]] == ["l2"]


def test_the_table_and_the_document(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf(LISTING, {"raw-l2d-cache-refill": (70_000, 1_000_000)})
    words = ("run", model, "--device", "adb", "--min-time", "300ms", "--repeats", 1)
    done = bench(*words)
    assert "MB@l2" in done.out
    assert "64.0" in done.out
    done = bench(*words, "--out", "b.jsonl", "--json")
    [row] = json.loads(done.out)["traffic"]
    assert row["bytes@l2"] == 64_000_000
    assert "mac_bytes" in row


def test_no_simpleperf(bench: Bench, phone: FakePhone, model: Path) -> None:
    assert _traffic(bench, model)["reason"] == "the phone has no simpleperf"


def test_no_such_counters(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf("List of raw events provided by cpu pmu:\n", {})
    assert "cannot be read by simpleperf" in _traffic(bench, model)["reason"]


def test_a_phone_that_does_not_allow_it(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf(LISTING, COUNTERS)
    phone.path("/system/bin/setprop").unlink()
    assert "perf_event_paranoid does not allow it" in _traffic(bench, model)["reason"]


def test_an_installed_app_is_not_counted(bench: Bench, phone: FakePhone, model: Path) -> None:
    phone.give_simpleperf(LISTING, COUNTERS)
    assert "--launch app_process" in _traffic(bench, model, "--launch", "activity")["reason"]


def test_a_pulled_cable_leaves_the_phone_as_it_was(
    bench: Bench, phone: FakePhone, model: Path
) -> None:
    phone.give_simpleperf(LISTING, COUNTERS)
    program = phone.path("/system/bin/simpleperf")
    body = program.read_text().replace(
        '"$@" | tee', 'touch "$PHONE_ROOT/.phone/counting"; "$@" | tee'
    )
    program.unlink()
    program.write_text(body)
    program.chmod(0o755)

    def pull() -> None:
        while not phone.path("/.phone/counting").exists():
            time.sleep(0.01)
        phone.unplug()

    threading.Thread(target=pull, daemon=True).start()
    done = bench("run", model, "--device", "adb", "--min-time", "2s", "--repeats", 1)
    assert done.code == 12
    deadline = time.monotonic() + 10
    while phone.read(HARDEN) != "1\n" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert phone.read(HARDEN) == "1\n"
    assert len(records(OUT, "repeat")) == 1


@pytest.mark.parametrize("compare", [True])
def test_pairs_are_not_counted(bench: Bench, phone: FakePhone, model: Path, compare: bool) -> None:
    done = bench("run", model, model, "--compare", "--device", "adb")
    assert done.code == 0, done.err
    assert records(OUT, "traffic") == []
