"""Records become series and pairs of them; what has no description is refused."""

from __future__ import annotations

import made_results
import pytest
import report_records as made

from cnn_export.benchmarks.report.tables import latency_table
from cnn_export.benchmarks.results.read_series import results_of
from cnn_export.benchmarks.results.record_types import Conditions, Memory, Record
from cnn_export.errors import InputRefused

OTHER_RUN = "f" * 16


def test_series_hold_processes_in_the_order_they_ran() -> None:
    lines = made.records()
    found = made_results.results([*lines[:3], *reversed(lines[3:])])
    fast = next(each for each in found.series if each.artifact.name == "fast.tflite")
    assert [process.position for process in fast.processes] == [0, 2, 4, 6, 8, 10]
    assert [process.median_ns for process in fast.processes] == [
        2_000_000 * (100 + index) // 100 for index in range(6)
    ]
    assert fast.summary.p50.value == 2_050_000
    assert fast.peak_memory is not None
    assert fast.peak_memory.peak_rss_bytes == 61_000_000


def test_series_are_in_the_order_of_the_plan() -> None:
    """Processes are interleaved in a drawn order, and memory goes first."""
    lines = made.records()
    found = made_results.results([*lines[:3], *reversed(lines[3:])])
    assert [each.artifact.sha256 for each in found.series] == found.runs[0].artifacts


@pytest.mark.parametrize(
    "more", [{"threads": 2}, {"runtime_version": "9"}, {"runtime_args": {"xnnpack": "off"}}]
)
def test_threads_arguments_and_versions_make_series_of_their_own(more: dict[str, object]) -> None:
    other = made.run().model_copy(update={"run_id": OTHER_RUN})
    lines: list[Record] = [made.run(), made.artifact(made.FAST, "net.tflite"), other]
    lines.append(made.artifact(made.FAST, "net.tflite", run_id=OTHER_RUN))
    lines += [made.repeat(made.FAST, n, n, [5, 6, 7 + n]) for n in range(2)]
    lines.append(made.repeat(made.FAST, 0, 0, [5, 6, 9], run_id=OTHER_RUN, **more))
    found = made_results.results(lines)
    assert [len(each.processes) for each in found.series] == [2, 1]


def two_runs(**changes: object) -> list[Record]:
    """One process in each of two runs, the second's with ``changes``."""
    other = made.run().model_copy(update={"run_id": OTHER_RUN} | changes)
    lines: list[Record] = [made.run(), made.artifact(made.FAST, "net.tflite"), other]
    lines.append(made.artifact(made.FAST, "net.tflite", run_id=OTHER_RUN))
    for run_id, ns in ((made.RUN_ID, 5), (OTHER_RUN, 50)):
        lines.append(made.repeat(made.FAST, 0, 0, [ns] * 3, run_id=run_id))
        lines.append(memory(run_id, peak_rss_bytes=1000 * ns))
    return lines


def test_cpus_make_series_of_their_own() -> None:
    """Of two runs on one device, one was kept on the small cores, which take longer."""
    found = made_results.results(two_runs(cpus=[1, 0]))
    assert [each.summary.p50.value for each in found.series] == [5, 50]
    assert [each.setting.cpus for each in found.series] == [(), (0, 1)]
    assert [each.memories[0].peak_rss_bytes for each in found.series] == [5000, 50_000]
    table = latency_table(made.shown(two_runs(cpus=[1, 0])))
    assert table is not None
    rows = [[cell.text for cell in row] for row in table.rows]
    assert ["on CPU 0,1" in " ".join(row) for row in rows] == [False, True]


def test_runs_of_equal_devices_in_one_setting_are_one_series() -> None:
    (series,) = made_results.results(two_runs()).series
    assert [process.run_id for process in series.processes] == [made.RUN_ID, OTHER_RUN]
    assert series.peak_memory is not None
    assert series.peak_memory.peak_rss_bytes == 50_000


def test_devices_that_differ_in_the_bytes_of_memory_are_two() -> None:
    """As after a restart, when the kernel keeps another part of it to itself."""
    device = made.run().device
    later = device.model_copy(update={"memory_bytes": device.memory_bytes - 4096})
    found = made_results.results(two_runs(device=later)).series
    assert [each.summary.p50.value for each in found] == [5, 50]
    assert found[0].setting.differences(found[1].setting) == []


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
        made.repeat(made.FAST, 1, 1, [6], conditions=Conditions(flags=["throttled"])),
        made.repeat(made.FAST, 2, 2, [7]),
    ]
    (series,) = made_results.results(lines).series
    assert series.flag_counts == {"others_busy": 1, "throttled": 2}
    assert series.flags == ("throttled",)


def test_pairs_are_compared_new_over_base() -> None:
    (paired,) = made_results.results(made.records()).pairs
    assert (paired.base.artifact.name, paired.new.artifact.name) == ("fast.tflite", "slow.tflite")
    assert paired.comparison.ratio.value == pytest.approx(2.5, rel=1e-4)
    assert paired.comparison.verdict == "slower"


@pytest.mark.parametrize("missing", [0, 1])
def test_a_measurement_without_its_run_or_artifact_is_refused(missing: int) -> None:
    lines = [
        made.run(),
        made.artifact(made.FAST, "net.tflite"),
        made.repeat(made.FAST, 0, 0, [5]),
    ]
    del lines[missing]
    with pytest.raises(InputRefused, match=("'run' line", "'artifact' line")[missing]):
        results_of(lines, "r.jsonl")
    found = results_of(lines, "r.jsonl", lenient=True)
    assert (len(found.series), len(found.uncounted)) == (0, 2 - missing)


def test_sides_of_a_comparison_keep_every_sample_in_the_order_of_the_run() -> None:
    (pair,) = made.shown(made.records()).pairs
    assert (pair.base.number, pair.new.number) == (3, 4)
    assert (pair.base.name, pair.new.name) == ("fast.tflite", "slow.tflite")
    base, new = pair.paired.base, pair.paired.new
    assert [process.position for process in base.processes] == list(range(10))
    assert [list(each) for each in base.times_ns] == [made.pair(i).a_ns for i in range(10)]
    assert [list(each) for each in new.times_ns] == [made.pair(i).b_ns for i in range(10)]
    assert new.summary.p50.value == pytest.approx(2.5 * base.summary.p50.value, rel=1e-6)
