"""On one results file, all that read it give the same figures, counts, verdicts and reasons.

Over random files: the run's closing table and document, compare, gate, report and selfcheck against
one another, and against counts and medians of the plain records.
"""

from __future__ import annotations

import dataclasses
import io
import json
import random
from pathlib import Path
from typing import Any

import made_results as made
import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx
from random_records import SEEDS, lacking, read
from random_results import random_results
from rich.console import Console
from scripted_device import ScriptedDevice, good_outcome

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.devices.contract import Job, Outcome
from cnn_export.benchmarks.gate.budgets import parse_budgets
from cnn_export.benchmarks.gate.candidates import candidates_of, shortfalls_of
from cnn_export.benchmarks.gate.judge import PROCESSES, judge
from cnn_export.benchmarks.gate.outputs.document import as_json as gate_json
from cnn_export.benchmarks.gate.regression import Regressions
from cnn_export.benchmarks.report.judging import budget_rows
from cnn_export.benchmarks.report.numbered import numbered
from cnn_export.benchmarks.report.tables import Table, comparison_table, latency_table
from cnn_export.benchmarks.report.writing import Sources, page_of, results_notes
from cnn_export.benchmarks.results.plan.missing import missing_lines
from cnn_export.benchmarks.results.protocol import End, PairSample
from cnn_export.benchmarks.results.record_types import Record
from cnn_export.benchmarks.results.series import Results
from cnn_export.benchmarks.statistics.intervals import Interval
from cnn_export.benchmarks.tables import run_document, run_table
from cnn_export.benchmarks.tables.compare_table import as_json, of_pairs, of_series
from cnn_export.benchmarks.tables.quantities import interval_ms, milliseconds
from cnn_export.errors import InputRefused

BUDGETS = """
[[budget]]
latency_ms = 10.2
latency_p90_ms = 10.4
load_ms = 5
[[budget]]
peak_memory_bytes = 50_000_000
[[budget]]
regression_percent = 1.5
"""


def text_of(results: Results) -> str:
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(run_table.render(results))
    return console.export_text()


def cells(table: Table | None) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows] if table else []


def gated(results: Results) -> dict[str, Any] | None:
    """The gate's document; ``None`` where it refuses a base, or to choose between several."""
    try:
        regressions = Regressions(results, None)
        verdict = judge(
            candidates_of(results), parse_budgets(BUDGETS), regressions, shortfalls_of(results)
        )
    except InputRefused as refusal:
        if "was interleaved with " in str(refusal):
            return None
        raise
    return json.loads(gate_json(verdict))


def test_times_are_told_alike(records: list[Record]) -> None:
    results = read(records)
    told = run_document.document(results)["results"]
    shown = [
        [cell.text for cell in row] for row in getattr(latency_table(numbered(results)), "rows", ())
    ]
    judged = [each for each in candidates_of(results) if "latency_ms" in each.estimates]
    compared = json.loads(as_json(of_series(results, results)))["comparisons"]
    table = text_of(results)
    assert len(told) == len(shown) == len(judged) == len(compared)
    for run, page, candidate, ratio in zip(told, shown, judged, compared, strict=True):
        p50 = Interval(**run["p50"])
        estimates = candidate.estimates
        for name, ns in (("latency_ms", p50), ("latency_p90_ms", Interval(**run["p90"]))):
            assert estimates[name].interval == Interval(
                ns.value / 1e6, ns.low / 1e6, ns.high / 1e6, ns.confidence
            )
        assert estimates["load_ms"].interval.value == run["load_ns"] / 1e6
        assert page[2:6] == [
            f"{milliseconds(p50.value)} ms",
            interval_ms(p50),
            f"{milliseconds(run['p90']['value'])} ms",
            f"{milliseconds(run['load_ns'])} ms",
        ]
        assert page[7:10] == [f"{run[key]:,}" for key in ("processes", "samples", "outliers")]
        assert estimates["latency_ms"].processes == run["processes"]
        assert ratio["processes"] == [run["processes"]] * 2
        memory = estimates.get("peak_memory_bytes")
        assert (memory and memory.interval.value) == (run["memory"] or {}).get("peak_rss_bytes")
        counts = ", ".join(f"{flag} ({count})" for flag, count in run["flags"].items())
        assert page[11] == counts or (page[11], counts) == ("none", "")
        common = [f for f, count in run["flags"].items() if 2 * count >= run["processes"]]
        assert list(estimates["latency_ms"].flags) == ratio["flags"] == common
        values = (p50.value, p50.low, p50.high, run["p90"]["value"])
        median, low, high, p90 = (f"{value / 1e6:.3f}" for value in values)
        cells = (run["artifact"]["name"], str(run["threads"]), str(run["processes"]))
        assert " ".join((*cells, median, low, "to", high, p90)) in " ".join(table.split())


def test_comparisons_are_told_alike(records: list[Record]) -> None:
    results = read(records)
    told = run_document.document(results)["comparisons"]
    compared = json.loads(as_json(of_pairs(results)))["comparisons"]
    shown = cells(comparison_table(numbered(results)))
    table = " ".join(text_of(results).split())
    assert len(told) == len(compared) == len(shown) == len(results.pairs)
    for run, both, row, paired in zip(told, compared, shown, results.pairs, strict=True):
        ratio = run["comparison"]["ratio"]
        assert [both["ratio"], both["ratio_low"], both["ratio_high"], both["confidence"]] == [
            ratio[key] for key in ("value", "low", "high", "confidence")
        ]
        assert (both["p_value"], both["verdict"], both["told"], both["repeats_needed"]) == (
            run["comparison"]["p_value"],
            run["comparison"]["verdict"],
            run["told"],
            run["comparison"]["repeats_needed"],
        )
        assert both["processes"] == list(run["comparison"]["processes"])
        assert row[3] == f"{ratio['value']:.4f}"
        assert row[6] == run["told"]
        needed = both["repeats_needed"]
        more = "" if needed is None else f", {needed} needed"
        assert row[7] == f"{both['processes'][0]} processes{more}"
        assert (
            f"{ratio['value']:.3f} {ratio['low']:.3f} to {ratio['high']:.3f} {run['told']}" in table
        )
        alone = dataclasses.replace(results, series=[], pairs=[paired])
        if paired.base.setting.runtime != paired.new.setting.runtime:
            with pytest.raises(InputRefused, match="other model, target or precision"):
                Regressions(alone, None)(candidates_of(alone)[0])
            continue
        estimate = Regressions(alone, None)(candidates_of(alone)[0])
        assert estimate is not None
        assert estimate.comparison is not None
        assert estimate.comparison.verdict == both["verdict"]
        assert estimate.comparison.repeats_needed == needed
        assert estimate.interval.value == 100 * (ratio["value"] - 1)
        assert estimate.processes == both["processes"][0]


def test_a_baseline_is_compared_alike() -> None:
    """Of two files: by ``compare BASE NEW`` and, where it does not refuse, by the gate."""
    judged = 0
    for seed in SEEDS:
        base, new = read(random_results(seed)), read(random_results(seed, again=1))
        rows = of_series(base, new).rows
        told = {(row.new.sha256, row.setting): row.comparison for row in rows}
        regressions = Regressions(new, base)
        for candidate in candidates_of(new):
            try:
                estimate = regressions(candidate)
            except InputRefused:
                continue
            if estimate is not None:
                comparison = told[candidate.artifact.sha256, candidate.setting]
                assert estimate.comparison == comparison
                assert estimate.interval.low == 100 * (comparison.ratio.low - 1)
                judged += 1
    assert judged > 9


def test_verdicts_are_told_alike(records: list[Record], tmp_path: Path) -> None:
    results = read(records)
    if (document := gated(results)) is None:
        return
    judgements = document["judgements"]
    (tmp_path / "b.toml").write_text(BUDGETS)
    rows, notes = budget_rows(results, tmp_path / "b.toml")
    assert [(row.quantity, row.status, row.remark) for row in rows] == [
        (each["bound"], each["verdict"], each["remark"]) for each in judgements
    ]
    assert [f"Not judged: {words}." for words in document["unmatched"]] == list(notes)
    compared = json.loads(as_json(of_pairs(results)))["comparisons"]
    ratios = {(each["ratio"], tuple(each["processes"]), each["verdict"]) for each in compared}
    for each in judgements:
        if each["bound"] == "regression_percent":
            told = [
                ratio
                for ratio, processes, verdict in ratios
                if (each["processes"], each["comparison"]) == (min(processes), verdict)
            ]
            assert any(each["value"] == pytest.approx(100 * (ratio - 1)) for ratio in told)


def test_what_is_missing_is_told_alike(records: list[Record]) -> None:
    results = read(records)
    told = run_document.document(results)["missing"]
    timed = [each for each in told if each["kind"] != "memory"]
    assert json.loads(as_json(of_pairs(results)))["missing"] == timed
    assert len(shortfalls_of(results)) == len(told)
    notes = [f"Not measured: {line}." for line in missing_lines(results.missing)]
    assert list(results_notes(results)) == notes
    table = text_of(results)
    assert all(f"not measured: {line}" in table for line in missing_lines(results.missing))
    if (document := gated(results)) is not None:
        judged = [each for each in document["judgements"] if each["bound"] == PROCESSES]
        assert len(judged) == len(told)
    assert len(told) == len(lacking(records))


def test_the_commands_say_what_their_functions_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.toml").write_text(BUDGETS)
    path = tmp_path / "r.jsonl"
    asked = 0
    for seed in range(12):
        records = random_results(seed)
        made.save_as_is(path, records)
        results = read(records)
        if results.pairs:
            assert main(["compare", str(path), "--json"]) == 0
            assert json.loads(capsys.readouterr().out) == json.loads(as_json(of_pairs(results)))
        if (document := gated(results)) is not None and results.timed:
            budgets = ["--budgets", str(tmp_path / "b.toml"), "--allow-unmatched", "--json"]
            code = main(["gate", str(path), *budgets])
            said = json.loads(capsys.readouterr().out)
            assert said == document
            assert code == {"met": 0, "missed": 10, "undecided": 11}[said["verdict"]]
            page = page_of(Sources(path, budgets=tmp_path / "b.toml"))
            assert page.count('class="missed"') >= said["counts"]["missed"]
            asked += 1
    assert asked > 3


def test_two_runs_of_six_pairs_are_one_series_of_twelve(
    tmp_path: Path,
    affine_onnx: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Everywhere: the closing table of the second run, compare, gate and the page."""
    second = tmp_path / "second.onnx"
    write_onnx(second, ballast=3)
    save_manifest(second, manifest_of(second, "onnx"))
    (tmp_path / "b.toml").write_text("[[budget]]\nregression_percent = 500\n")
    dice = random.Random(3)  # noqa: S311 - no secret

    def noisy(job: Job) -> Outcome:
        outcome = good_outcome(job)
        first, other = (2000 if path == second else 1000 for path in job.artifacts)
        noise = [dice.randrange(100) for _ in range(16)]
        times = [PairSample(a_ns=first + each, b_ns=other + each) for each in noise]
        end = End(count=16, warm_up=4)
        session = dataclasses.replace(outcome.session, measurements=tuple(times), end=end)
        return dataclasses.replace(outcome, session=session)

    monkeypatch.setattr(
        "cnn_export.benchmarks.devices.named_devices.find_devices",
        lambda *_: [ScriptedDevice(dict.fromkeys(range(6), noisy))],
    )
    out = str(tmp_path / "r.jsonl")
    command = ["run", str(affine_onnx), str(second), "--compare", "--repeats", "6", "--out", out]
    for processes in (6, 12):
        assert main([*command, "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["comparisons"]
        assert told["comparison"]["processes"] == [processes] * 2
    assert main(["compare", out, "--json"]) == 0
    (compared,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert main(["gate", out, "--budgets", str(tmp_path / "b.toml"), "--json"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)["judgements"]
    assert compared["processes"] == [12, 12]
    assert (judged["processes"], judged["comparison"]) == (12, "slower")
    assert compared["verdict"] == told["comparison"]["verdict"] == "slower"
    page = page_of(Sources(Path(out), budgets=tmp_path / "b.toml"))
    assert "12 processes" in page
    assert "6 processes<" not in page
