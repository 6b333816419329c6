"""What was planned and is not there: named by every reader, and never met."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import made_results as made
import pytest
from gated_results import BOUND, MEDIANS, A, B, Lines, gated, lines
from rich.console import Console

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.report.numbered import numbered
from cnn_export.benchmarks.report.tables import comparison_table
from cnn_export.benchmarks.report.writing import Sources, page_of
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Ending
from cnn_export.benchmarks.tables.run_table import render


def ending(sha256: str, outcome: str, processes: int, **fields: object) -> Ending:
    given = {"run_id": made.RUN_ID, "kind": "time", "artifacts": [sha256], "threads": 1}
    given |= ({"exit_code": 3} if outcome == "failed" else {}) | fields
    return Ending.model_validate(given | {"outcome": outcome, "processes": processes})


NO_MEMORY = [ending(each, "lost", 0, kind="memory") for each in (A, B)]


def test_a_whole_run_is_met(tmp_path: Path):
    assert gated(tmp_path, lines()) == 0
    ended = [ending(A, "measured", 6), ending(B, "measured", 6), *NO_MEMORY]
    assert gated(tmp_path, [*lines(), *ended]) == 0


@pytest.mark.parametrize("missing", [1, 3, 6])
def test_what_was_lost_is_undecided_by_name(
    tmp_path: Path, missing: int, capsys: pytest.CaptureFixture[str]
):
    assert gated(tmp_path, lines(missing)) == 11
    error = capsys.readouterr().err
    assert "b.tflite at 1 thread on host: lost: the run was killed, or its end cut off" in error
    assert f"({6 - missing} of 6 processes)" in error
    assert "--resume" in error


def test_a_failed_part_is_missed_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    failed = ending(B, "failed", 0, reason="the probe's output is off")
    assert gated(tmp_path, [*lines(6), failed], "--json") == 10
    out, error = capsys.readouterr()
    assert "failed: the probe's output is off (0 of 6 processes)" in error
    (told,) = [each for each in json.loads(out)["judgements"] if each["bound"] == "processes"]
    assert (told["artifact"], told["verdict"], told["limit"]) == ("b.tflite", "missed", 6)


def test_a_later_ending_counts(tmp_path: Path):
    early, late = ending(B, "failed", 2, reason="crashed"), ending(B, "measured", 6)
    of_a = [ending(A, "measured", 6), *NO_MEMORY]
    assert gated(tmp_path, [*lines(4), early, *lines()[-4:], late, *of_a]) == 0


@pytest.mark.parametrize("told", [0, 1, 2, 3])
def test_what_failed_and_is_not_whole_stays_failed(
    tmp_path: Path, told: int, capsys: pytest.CaptureFixture[str]
):
    """Whatever number its ending tells, and whether a later call was killed or stopped."""
    early = ending(B, "failed", told, reason="crashed")
    assert gated(tmp_path, [*lines(3), early]) == 10
    assert "b.tflite at 1 thread on host: failed: crashed (3 of 6" in capsys.readouterr().err
    assert gated(tmp_path, [*lines(4), early, *lines()[-4:-2]]) == 10
    later = [ending(A, "measured", 6), ending(B, "lost", 4, reason="interrupted"), *NO_MEMORY]
    assert gated(tmp_path, [*lines(4), early, *lines()[-4:-2], *later]) == 10


@pytest.mark.parametrize(
    ("outcome", "processes", "fields"),
    [
        ("lost", 3, {"exit_code": 3}),
        ("measured", 6, {"exit_code": 3}),
        ("failed", 3, {"exit_code": None}),
        ("measured", 3, {}),
        ("measured", 7, {}),
        ("failed", 6, {}),
        ("lost", 6, {}),
    ],
)
def test_an_ending_at_odds_with_itself_or_its_plan_is_refused(
    tmp_path: Path, outcome: str, processes: int, fields: dict[str, object]
):
    odd = json.loads(ending(B, "lost", 0).to_line())
    odd |= {"outcome": outcome, "processes": processes}
    odd |= {"exit_code": 3} if outcome == "failed" else {}
    others = [ending(A, "measured", 6), *NO_MEMORY]
    path = made.save_as_is(tmp_path / "r.jsonl", [*lines(6 - min(processes, 6)), *others])
    path.write_text(path.read_text() + json.dumps(odd | fields) + "\n")
    (tmp_path / "b.toml").write_text(BOUND)
    assert main(["gate", str(path), "--budgets", str(tmp_path / "b.toml")]) == 4


OTHERWISE = [
    {"macs": 0},
    {"mac_bytes": 0},
    {"partitions": 4},
    {"ops_outside": 3},
    {"delegate": "none"},
]


@pytest.mark.parametrize("figures", OTHERWISE, ids=str)
def test_figures_of_one_file_that_contradict_each_other_are_refused(
    tmp_path: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    """In two runs of one file; what is unknown contradicts nothing, another runtime may differ."""
    told = {"delegate": "XNNPACK", "ops_outside": 0}

    def two_runs(second: dict[str, Any], version: str = "2.3.0") -> Lines:
        other = "f" * 16
        again = made.repeats_ms([1.003 * each for each in MEDIANS], run_id=other)
        again = [each.model_copy(update={"runtime_version": version}) for each in again]
        opening = [made.run(), made.artifact(**told), *made.repeats_ms(MEDIANS)]
        return [*opening, made.run(other), made.artifact(run_id=other, **told | second), *again]

    assert gated(tmp_path, two_runs({})) == 0
    assert gated(tmp_path, two_runs(figures)) == 4
    assert f"contradict each other in {next(iter(figures))}" in capsys.readouterr().err
    assert gated(tmp_path, two_runs(dict.fromkeys(figures))) == 0
    of_the_runtime = not figures.keys() & {"macs", "mac_bytes"}
    assert gated(tmp_path, two_runs(figures, "2.4.0")) == (0 if of_the_runtime else 4)


@pytest.mark.parametrize(
    ("records", "told"),
    [
        ([*lines(1), ending(A, "measured", 6), ending(B, "measured", 6)], "tells of 6"),
        ([*lines(6), ending(A, "measured", 6)], "no 'ending' line of b.tflite"),
        ([*lines()[:-3], *lines()[-2:]], "lacks a process of b.tflite"),
        ([lines()[0], lines()[1], *lines(6)[3:]], "no 'artifact' line describes"),
    ],
)
def test_lines_taken_out_refuse_the_file(
    tmp_path: Path, records: Lines, told: str, capsys: pytest.CaptureFixture[str]
):
    assert gated(tmp_path, records) == 4
    error = capsys.readouterr().err
    assert told in error
    assert "lines are gone from the file" in error


def test_an_unselected_shortfall_is_unmatched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    artifacts = [made.artifact("a.tflite", model="a"), made.artifact("b.tflite", model="b")]
    records = [made.run(artifacts=[A, B]), *artifacts, *made.repeats_ms(MEDIANS, artifact=A)]
    only_a = '[[budget]]\nmodel = "a"\nlatency_ms = 11\n'
    assert gated(tmp_path, records, budgets=only_a) == 4
    assert "no budget selects b.tflite" in capsys.readouterr().err
    assert gated(tmp_path, records, "--allow-unmatched", budgets=only_a) == 0
    only_b = '[[budget]]\nmodel = "b"\nlatency_ms = 11\n'
    assert gated(tmp_path, records, "--allow-unmatched", budgets=only_b) == 11


def test_memory_is_missed_only_where_it_is_bounded(tmp_path: Path):
    memory = "[[budget]]\nlatency_ms = 11\npeak_memory_bytes = 99\n"
    assert gated(tmp_path, lines(), budgets=memory) == 11
    of_both = [made.memory(50, artifact=each) for each in (A, B)]
    assert gated(tmp_path, [*lines(), *of_both], budgets=memory) == 0
    assert gated(tmp_path, [*lines(), of_both[0]], budgets=memory) == 11


def test_an_earlier_run_of_the_file_is_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = "f" * 16
    again = [made.run(other), made.artifact(run_id=other)]
    assert gated(tmp_path, [*lines(6), *again, *made.repeats_ms(MEDIANS, run_id=other)]) == 11
    assert "its run is not the last of the file; measure again into a new --out" in (
        capsys.readouterr().err
    )


def test_three_processes_under_a_second_run_id_are_no_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    other = "f" * 16
    opening = [made.run(other, repeats=3, artifacts=[A]), made.artifact("a.tflite", run_id=other)]
    copies = [each.model_copy(update={"run_id": other}) for each in lines()[3:6]]
    assert gated(tmp_path, [*lines(), *opening, *copies]) == 4
    assert "is a copy of repeat 0 of run 0123456789abcdef" in capsys.readouterr().err


def test_a_device_of_a_call_that_has_no_run_is_lost_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """All lines of the second, perhaps slower, device are gone, or no longer of its call."""
    phone = made.DEVICE.model_copy(update={"id": "R58", "kind": "adb"})
    call = {"group": "c" * 16, "group_devices": ["host", "R58"]}
    other = "f" * 16
    first = [made.run(**call), made.artifact(), *made.repeats_ms(MEDIANS)]
    slow = made.repeats_ms([9 * each for each in MEDIANS], run_id=other)
    again = [made.artifact(run_id=other), *slow]
    assert gated(tmp_path, [*first, made.run(other, phone, **call), *again]) == 10
    capsys.readouterr()
    assert gated(tmp_path, first) == 11
    assert "net.tflite at 1 thread on R58: lost: " in capsys.readouterr().err
    apart = made.run(other, phone, **call | {"group": "d" * 16})
    assert gated(tmp_path, [*first, apart, *again]) == 10
    assert gated(tmp_path, [first[0], *first[1:]], budgets=BOUND + 'device = "R58"\n') == 4
    lone = json.loads(first[0].to_line())
    for lost in ("group", "group_devices"):
        path = tmp_path / "r.jsonl"
        text = json.dumps({key: each for key, each in lone.items() if key != lost}) + "\n"
        path.write_text(text + "".join(each.to_line() for each in first[1:]))
        assert main(["gate", str(path), "--budgets", str(tmp_path / "b.toml")]) == 4


def test_what_an_earlier_run_measured_is_undecided_where_a_later_one_never_began(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A whole run on the host; then a call on phone and host that only the phone was ready for."""
    plan = {"artifacts": [made.sha256("old.tflite"), made.sha256("net.tflite")]}
    plan |= {"compare": True, "repeats": 12}
    phone = made.DEVICE.model_copy(update={"id": "R58", "kind": "adb", "api_level": 34})
    call = {"group": "c" * 16, "group_devices": ["R58", "host"]}
    records: Lines = []
    for opening in (made.run(**plan), made.run("f" * 16, phone, **plan, **call)):
        names = [made.artifact(each, opening.run_id) for each in ("old.tflite", "net.tflite")]
        base = [10_000 + n + len(records) for n in range(12)]
        records += [opening, *names]
        records += [
            made.pair(n, [ns] * 9, [ns - 1000] * 9, run_id=opening.run_id)
            for n, ns in enumerate(base)
        ]
    path = tmp_path / "r.jsonl"
    assert gated(tmp_path, records, budgets="[[budget]]\nregression_percent = 3\n") == 11
    capsys.readouterr()
    assert main(["compare", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["comparisons"]
    assert [each["verdict"] for each in told] == ["undecided", "faster"]
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(read_results(path)))
    words = [line for line in console.export_text().splitlines() if "old.tflite" in line]
    assert ["undecided" in each for each in words[:2]] == [True, False]
    table = comparison_table(numbered(read_results(path)))
    assert table is not None
    assert [row[6].text for row in table.rows] == ["undecided", "faster"]


def test_a_lost_pair_is_undecided(tmp_path: Path):
    old = made.sha256("old.tflite")
    opening = [
        made.run(artifacts=[old, made.sha256("net.tflite"), B], repeats=8, compare=True),
        *(made.artifact(name) for name in ("old.tflite", "net.tflite", "b.tflite")),
    ]
    pairs = [made.pair(n, [1000 + n] * 4, [1000 + n] * 4) for n in range(8)]
    text = "[[budget]]\nregression_percent = 3\n"
    assert gated(tmp_path, [*opening, *pairs], budgets=text) == 11


def test_compare_and_report_name_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    whole = made.save_as_is(tmp_path / "base.jsonl", lines())
    torn = made.save_as_is(tmp_path / "new.jsonl", lines(2))
    assert main(["compare", str(whole), str(torn), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["artifact"] for each in document["missing"]] == ["b.tflite"]
    named = {each["new"]["name"]: each["verdict"] for each in document["comparisons"]}
    assert named["b.tflite"] == "undecided"
    assert main(["compare", str(whole), str(torn)]) == 0
    assert "b.tflite at 1 thread on host: lost" in capsys.readouterr().err
    (tmp_path / "b.toml").write_text(BOUND)
    html = page_of(Sources(torn, budgets=tmp_path / "b.toml"))
    assert "Not measured: b.tflite at 1 thread on host: lost" in html
    assert ">undecided</td>" in html
