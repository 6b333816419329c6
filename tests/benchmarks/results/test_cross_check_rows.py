"""Cross-checks and traffic beside our own figures."""

from __future__ import annotations

from typing import Any

import made_results as made
import pytest
from rich.console import Console, Group

from cnn_export.benchmarks.results.cross_check_rows import document, opinion_rows, traffic_rows
from cnn_export.benchmarks.results.record_types import Level, Opinion, Record, Traffic
from cnn_export.benchmarks.results.series import Results
from cnn_export.benchmarks.tables import cross_check_table

MS = made.NS_PER_MS
OTHER = made.DEVICE.model_copy(update={"id": "phone \x1b[2J"})
OTHER_RUN = "f" * 16


def _opinion(**fields: Any) -> Opinion:
    given = {"run_id": made.RUN_ID, "artifact": made.sha256("net.tflite"), "threads": 1}
    given |= {"tool": "benchmark_model", "tool_sha256": "0" * 64, "count": 50}
    return Opinion.model_validate(given | {"average_ns": 12.0 * MS} | fields)


def _traffic(**fields: Any) -> Traffic:
    given = {"run_id": made.RUN_ID, "artifact": made.sha256("net.tflite"), "threads": 1}
    return Traffic.model_validate(given | fields)


def _results(*more: Record) -> Results:
    """Medians of 9 to 11 ms; the mean is higher, for a quarter takes 1.5 times as long."""
    return made.results([*made.opened(), *made.repeats_ms([9.0, 10.0, 11.0]), *more])


def _text(results: Results) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(Group(*cross_check_table.render(results)))
    return captured.get()


def test_an_average_is_compared_with_our_average() -> None:
    [row] = opinion_rows(_results(_opinion()))
    assert (row.figure, row.theirs_ns) == ("average", 12 * MS)
    assert row.ours_ns == pytest.approx(10 * 1.125 * MS)
    assert row.difference_percent == pytest.approx(100 * (12 / 11.25 - 1))


def test_a_median_is_compared_with_our_median() -> None:
    [row] = opinion_rows(_results(_opinion(median_ns=9.5 * MS)))
    assert (row.figure, row.theirs_ns, row.ours_ns) == ("median", 9.5 * MS, 10 * MS)
    assert row.difference_percent == pytest.approx(-5.0)
    assert "-5.0 %" in _text(_results(_opinion(median_ns=9.5 * MS)))


def test_without_times_of_ours_there_is_no_difference() -> None:
    [row] = opinion_rows(made.results([*made.opened(), _opinion()]))
    assert (row.ours_ns, row.difference_percent) == (None, None)
    [row] = opinion_rows(_results(_opinion(threads=2)))
    assert row.ours_ns is None


def test_each_device_has_its_own_figure() -> None:
    other = [
        made.run(OTHER_RUN, OTHER),
        made.artifact(run_id=OTHER_RUN),
        *made.repeats_ms([40.0], run_id=OTHER_RUN),
        _opinion(run_id=OTHER_RUN, median_ns=20.0 * MS),
    ]
    rows = opinion_rows(_results(_opinion(median_ns=20.0 * MS), *other))
    assert [row.difference_percent for row in rows] == pytest.approx([100.0, -50.0])
    text = _text(_results(_opinion(median_ns=20.0 * MS), *other))
    assert "\x1b[2J" not in text
    assert "device" in text


def test_traffic_beside_mac_bytes() -> None:
    levels = [
        Level(level="l3", event="raw-l3d-cache-refill", per_inference=1e6, bytes_per_event=64)
    ]
    results = _results(_traffic(inferences=200, levels=levels))
    [row] = traffic_rows(results)
    assert row.moved_bytes == {"l3": 64e6}
    [shown] = document(results)["traffic"]
    assert (shown["bytes@l3"], shown["mac_bytes"], shown["reason"]) == (64e6, 2000, None)
    assert "MB@l3" in _text(results)


def test_a_reason_is_told_once() -> None:
    reason = "the phone has no simpleperf"
    text = _text(_results(_traffic(reason=reason), _traffic(reason=reason, threads=2)))
    assert text.count(reason) == 1


def test_a_run_without_cross_checks_shows_nothing() -> None:
    assert document(_results()) == {}
    assert _text(_results()).strip() == ""


def test_records_survive_the_file() -> None:
    for record in (_opinion(raw_ns=[5, 6]), _traffic(reason="no")):
        assert type(record).model_validate_json(record.to_line()) == record
