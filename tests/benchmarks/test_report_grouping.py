"""Records become series and duels; what has no description is refused."""

from __future__ import annotations

import pytest
import report_records as made

from cnn_export.benchmarks.report.measured import group
from cnn_export.benchmarks.report.tables import latency_table
from cnn_export.benchmarks.results.record_types import Conditions, Memory, Record
from cnn_export.errors import InputRefused

OTHER_RUN = "f" * 16


def test_series_hold_processes_in_the_order_they_ran() -> None:
    lines = made.records()
    found = group([*lines[:3], *reversed(lines[3:])])
    fast = next(one for one in found.series if one.artifact.name == "fast.tflite")
    assert [process.position for process in fast.processes] == [0, 2, 4, 6, 8, 10]
    assert [process.median_ns for process in fast.processes] == [
        2_000_000 * (100 + index) // 100 for index in range(6)
    ]
    assert fast.summary.p50.value == 2_050_000
    assert fast.peak_rss_bytes == 61_000_000


def test_threads_arguments_and_versions_make_series_of_their_own() -> None:
    lines = [made.run(), made.artifact(made.FAST, "net.tflite")]
    for place, more in enumerate(
        ({}, {"threads": 2}, {"runtime_version": "9"}, {"runtime_args": {"xnnpack": "off"}}, {})
    ):
        lines.append(made.repeat(made.FAST, place, place, [5, 6, 7], **more))
    found = group(lines)
    assert [len(one.processes) for one in found.series] == [2, 1, 1, 1]
    assert [one.number for one in found.series] == [1, 2, 3, 4]


def test_cpus_make_series_of_their_own() -> None:
    """Of two runs on one device, one was kept on the small cores, which take longer."""
    small = made.run().model_copy(update={"run_id": OTHER_RUN, "cpus": [1, 0]})
    lines: list[Record] = [made.run(), made.artifact(made.FAST, "net.tflite"), small]
    lines.append(made.artifact(made.FAST, "net.tflite", run_id=OTHER_RUN))
    for run_id, ns in ((made.RUN_ID, 5), (OTHER_RUN, 50)):
        lines.append(made.repeat(made.FAST, 0, 0, [ns] * 3, run_id=run_id))
        lines.append(memory(run_id, peak_rss_bytes=1000 * ns))
    found = group(lines)
    assert [one.summary.p50.value for one in found.series] == [5, 50]
    assert [one.cpus for one in found.series] == [(), (0, 1)]
    assert [one.peak_rss_bytes for one in found.series] == [5000, 50_000]
    table = latency_table(found)
    assert table is not None
    rows = [[cell.text for cell in row] for row in table.rows]
    assert ["on CPU 0,1" in " ".join(row) for row in rows] == [False, True]


def memory(run_id: str, peak_rss_bytes: int) -> Memory:
    return Memory(
        run_id=run_id,
        artifact=made.FAST,
        threads=1,
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        peak_rss_bytes=peak_rss_bytes,
        baseline_rss_bytes=1,
    )


def test_flags_are_counted_over_processes() -> None:
    busy = Conditions(flags=["others_busy", "throttled"])
    lines = [
        made.run(),
        made.artifact(made.FAST, "net.tflite"),
        made.repeat(made.FAST, 0, 0, [5], conditions=busy),
        made.repeat(made.FAST, 1, 1, [5], conditions=Conditions(flags=["throttled"])),
        made.repeat(made.FAST, 2, 2, [5]),
    ]
    assert group(lines).series[0].flags == ("others_busy (1)", "throttled (2)")


def test_pairs_are_compared_second_over_first() -> None:
    duel = group(made.records()).duels[0]
    assert (duel.a.name, duel.b.name) == ("fast.tflite", "slow.tflite")
    assert duel.comparison.ratio.value == pytest.approx(2.5, rel=1e-4)
    assert duel.comparison.verdict == "slower"


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(InputRefused, match="no measurement"):
        group([made.run(), made.artifact(made.FAST, "net.tflite")])


@pytest.mark.parametrize("missing", [0, 1])
def test_a_measurement_without_its_run_or_artifact_is_refused(missing: int) -> None:
    lines = [
        made.run(),
        made.artifact(made.FAST, "net.tflite"),
        made.repeat(made.FAST, 0, 0, [5]),
    ]
    del lines[missing]
    with pytest.raises(InputRefused, match=("'run' line", "'artifact' line")[missing]):
        group(lines)


def test_sides_of_a_comparison_keep_every_sample_in_the_order_of_the_run() -> None:
    (duel,) = group(made.records()).duels
    a, b = duel.sides
    assert (a.number, b.number) == (3, 4)
    assert (a.artifact.name, b.artifact.name) == ("fast.tflite", "slow.tflite")
    assert [process.position for process in a.processes] == list(range(10))
    assert [list(p.samples_ns) for p in a.processes] == [made.pair(i).a_ns for i in range(10)]
    assert [list(p.samples_ns) for p in b.processes] == [made.pair(i).b_ns for i in range(10)]
    assert b.summary.p50.value == pytest.approx(2.5 * a.summary.p50.value, rel=1e-6)
