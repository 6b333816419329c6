"""From records to the figures and the table of a run."""

from __future__ import annotations

import math

import made_results
import pytest
from rich.console import Console
from scripted_device import DEVICE

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.studies.loop_overhead import measure_overhead
from cnn_export.benchmarks.tables.run_document import document
from cnn_export.benchmarks.tables.run_table import render

A, B = "a" * 64, "b" * 64
RUN_ID = "0" * 16


def _artifact(sha256: str, name: str) -> record_types.Artifact:
    return record_types.Artifact(
        run_id=RUN_ID, sha256=sha256, name=name, model="m", target="onnx", precision="fp32",
        file_bytes=10, macs=2_500_000, mac_bytes=1_200_000, delegate="CPUExecutionProvider",
        partitions=1,
    )  # fmt: skip


def _repeat(sha256: str, repeat: int, samples: list[int], **changes: object) -> record_types.Repeat:
    fields = {
        "run_id": RUN_ID, "artifact": sha256, "repeat": repeat, "position": 0, "threads": 1,
        "runtime": "onnxruntime", "runtime_version": "1.2", "load_ns": 5_000_000 + repeat,
        "first_ns": 700_000, "warm_up": 3, "samples_ns": samples,
    }  # fmt: skip
    return record_types.Repeat.model_validate(fields | changes)


def _pair(repeat: int, a_ns: list[int], b_ns: list[int]) -> record_types.Pair:
    return record_types.Pair(
        run_id=RUN_ID, a=A, b=B, repeat=repeat, position=repeat, b_first=False,
        b_loaded_first=bool(repeat % 2), threads=1,
        runtimes=("r", "r"), runtime_versions=("1", "1"), a_ns=a_ns, b_ns=b_ns,
    )  # fmt: skip


BUSY = record_types.Conditions(flags=["others_busy"])
RECORDS: list[record_types.Record] = [
    record_types.Run(
        run_id=RUN_ID, producer="p", started_at="t", device=DEVICE, seed=1, repeats=2,
        min_time_s=1, artifacts=[A, B], threads=[1, 2],
    ),
    _artifact(B, "second.onnx"),
    _artifact(A, "first.onnx"),
    record_types.Memory(
        run_id=RUN_ID, artifact=A, threads=1, runtime="onnxruntime", runtime_version="1.2",
        peak_rss_bytes=50_000_000, baseline_rss_bytes=42_500_000,
    ),
    _repeat(A, 0, [1_000_000, 3_000_000, 2_000_000]),
    _repeat(A, 1, [4_000_000] * 99 + [90_000_000], conditions=BUSY),
    _repeat(B, 0, [7_000_000], threads=2),
    _repeat(B, 0, [8_000_000]),
]  # fmt: skip


def test_a_process_is_one_value_however_many_inferences_it_has() -> None:
    rows = document(made_results.results(RECORDS))["results"]
    assert [(row["artifact"]["name"], row["threads"]) for row in rows] == [
        ("first.onnx", 1), ("second.onnx", 1), ("second.onnx", 2),
    ]  # fmt: skip
    row = rows[0]
    assert row["p50"]["value"] == 3_000_000
    assert (row["processes"], row["samples"]) == (2, 103)
    assert row["load_ns"] == 5_000_000.5
    assert row["flags"] == {"others_busy": 1}
    assert row["memory"]["peak_rss_bytes"] == 50_000_000
    assert rows[1]["memory"] is None


def test_a_pair_is_the_ratio_of_neighbours() -> None:
    """Between the processes the machine becomes ten times slower; the ratio does not see it."""
    pairs = [_pair(n, [100 * 10**n, 110 * 10**n], [150 * 10**n, 165 * 10**n]) for n in range(10)]
    (row,) = document(made_results.results([*RECORDS[:3], *pairs]))["comparisons"]
    assert (row["a"], row["b"]) == ("first.onnx", "second.onnx")
    assert math.isclose(row["comparison"]["ratio"]["value"], 1.5)
    assert row["comparison"]["verdict"] == "slower"


def test_the_table_shows_each_figure_in_its_unit() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render(made_results.results([*RECORDS, _pair(0, [1000], [2000])])))
    lines = [line.split() for line in capture.get().splitlines()]
    times, costs = [line for line in lines if line[:1] == ["first.onnx"]]
    assert times[1:4] == ["1", "2", "3.000"]
    # Within: 1.4826 times half of 1 ms. Between, in ms²: 1.4826² less half of 1/3. One of 90 ms.
    assert times[-6:] == ["3.400", "24.7", "47.5", "1", "others_busy", "(1)"]
    assert costs[1:5] == ["onnxruntime", "1.2", "CPUExecutionProvider", "1"]
    assert costs[5:] == ["1", "5.000", "0.700", "50.0", "7.5", "2.5", "1.2"]
    text = capture.get()
    assert "others_busy: other processes used more than 10%" in text
    assert "Give more --repeats" in text
    assert "2.000" in next(line for line in text.splitlines() if "undecided" in line)


def test_what_is_not_proven_stands_below_the_table() -> None:
    first = _artifact(A, "first.onnx").model_copy(update={"accepted": 2e-3})
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render(made_results.results([*RECORDS[:2], first, *RECORDS[3:]])))
    said = "first.onnx: not proven: an error of up to 0.002 of the RMS was accepted."
    assert capture.get().count(said) == 1
    assert "second.onnx: not proven" not in capture.get()


def test_a_delegate_that_was_turned_off_is_not_shown() -> None:
    delegates = []
    for arguments in ({}, {"xnnpack": "off"}):
        fields = {"runtime": "ai-edge-litert", "runtime_args": arguments}
        lines = [*RECORDS[:3], _repeat(A, 0, [1_000_000], **fields)]
        (row,) = document(made_results.results(lines))["results"]
        delegates.append(row["delegate"])
    assert delegates == ["CPUExecutionProvider", None]


def test_the_table_says_whose_times_these_are() -> None:
    phone = DEVICE.model_copy(update={"id": "R5\x1b[2J", "kind": "adb", "model": "Pixel"})
    shown = []
    for device in (DEVICE, phone):
        console = Console(width=200)
        with console.capture() as capture:
            run = RECORDS[0].model_copy(update={"device": device})
            console.print(render(made_results.results([run, *RECORDS[1:]])))
        shown.append(capture.get().splitlines()[0].rstrip())
    assert shown[0].startswith(f"{DEVICE.id}: {DEVICE.model}, {DEVICE.cpus} CPUs")
    assert shown[0].endswith("(not a phone's times)")
    assert "Pixel" in shown[1]
    assert "phone" not in shown[1]
    assert "\x1b" not in shown[1]


def test_the_document_is_plain_json() -> None:
    found = document(made_results.results(RECORDS))
    assert found["comparisons"] == []
    assert found["results"][0]["p50"]["value"] == 3_000_000
    assert found["results"][0]["artifact"]["macs"] == 2_500_000
    assert found["results"][0]["artifact"]["partitions"] == 1
    assert found["results"][0]["outliers"] == 1
    assert found["results"][0]["variation"]["between_share"] == pytest.approx(1 - 1 / 6 / 1.4826**2)
    assert found["results"][0]["memory"]["baseline_rss_bytes"] == 42_500_000


def test_the_loop_times_a_model_that_does_nothing() -> None:
    figures = measure_overhead()
    assert set(figures) == {"single", "pair"}
    for found in figures.values():
        assert found["clock_ns"] > 0
        assert all(math.isfinite(value) for value in found.values())
