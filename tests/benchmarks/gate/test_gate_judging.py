"""Judging of figures against budgets: the rule, its boundaries, and what does not match."""

from __future__ import annotations

import math
from pathlib import Path

import made_results as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.gate.budgets import parse_budgets
from cnn_export.benchmarks.gate.candidates import Candidate, Estimate, candidates_of, exact
from cnn_export.benchmarks.gate.judge import Verdict, judge, status_of
from cnn_export.benchmarks.gate.regression import Regressions
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.benchmarks.statistics.intervals import Interval
from cnn_export.errors import InputRefused

SEVEN = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2, 10.3]
"""The 95 % interval of the median of seven values is their range (98.4 %)."""


def gated(tmp_path: Path, text: str, *records: object, base: object = ()) -> Verdict:
    results = read_results(made.save(tmp_path / "new.jsonl", [*made.opened(), *records]))
    baseline = None
    if base:
        baseline = read_results(made.save(tmp_path / "base.jsonl", base))
    budgets = parse_budgets(f"[[budget]]\n{text}")
    return judge(candidates_of(results), budgets, Regressions(results, baseline))


@pytest.mark.parametrize(
    ("limit", "status"),
    [(10.3, "met"), (10.299, "undecided"), (9.7, "undecided"), (9.699, "missed"), (99, "met")],
)
def test_latency_is_judged_by_its_whole_interval(tmp_path: Path, limit: float, status: str):
    verdict = gated(tmp_path, f"latency_ms = {limit}", *made.repeats_ms(SEVEN))
    assert verdict.status == status
    assert verdict.judgements[0].estimate.interval.value == pytest.approx(10.0)


def test_p90_load_and_memory_have_their_own_figures(tmp_path: Path):
    text = "latency_p90_ms = 99\nload_ms = 5\npeak_memory_bytes = 70"
    verdict = gated(
        tmp_path, text, *made.repeats_ms(SEVEN), made.memory(69), made.memory(71, threads=2)
    )
    # Samples t, t, t, 1.5·t: the linear 0.9-quantile is at place 2.7, so t·(1 + 0.7·0.5).
    values = {each.bound: each.estimate.interval.value for each in verdict.judgements}
    assert values["latency_p90_ms"] == pytest.approx(13.5)
    assert values["load_ms"] == pytest.approx(5.0)
    assert [(each.bound, each.status) for each in verdict.judgements] == [
        ("latency_p90_ms", "met"),
        ("load_ms", "met"),
        ("peak_memory_bytes", "met"),
        ("peak_memory_bytes", "missed"),  # of two threads, which only measured memory
    ]
    assert [text.split()[2] for text in verdict.unmatched] == ["latency_p90_ms", "load_ms"]


@pytest.mark.parametrize(
    ("bound", "value"), [("macs", 1000), ("mac_bytes", 2000), ("file_bytes", 4000)]
)
def test_counts_are_met_at_the_limit_and_missed_one_below(tmp_path: Path, bound: str, value: int):
    for limit, status in ((value, "met"), (value - 1, "missed")):
        verdict = gated(tmp_path, f"{bound} = {limit}", *made.repeats_ms([1.0]))
        assert verdict.status == status


def test_too_few_processes_are_undecided_however_far_the_limit(tmp_path: Path):
    (judgement,) = gated(tmp_path, "latency_ms = 900", *made.repeats_ms(SEVEN[:5])).judgements
    assert (judgement.status, judgement.repeats_needed) == ("undecided", 6)


def test_an_undecided_bound_says_how_many_repeats_would_decide(tmp_path: Path):
    near, far = (
        gated(tmp_path, f"latency_ms = {limit}", *made.repeats_ms(SEVEN)).judgements[0]
        for limit in (10.05, 10.25)
    )
    assert near.status == far.status == "undecided"
    assert near.repeats_needed is not None
    assert far.repeats_needed is not None
    assert near.repeats_needed > far.repeats_needed > 7


@pytest.mark.parametrize(("factor", "status"), [(1.0, "met"), (1.2, "missed"), (1.1, "undecided")])
def test_regression_against_a_baseline(tmp_path: Path, factor: float, status: str):
    base = [*made.opened(), *made.repeats_ms(SEVEN)]
    new = made.repeats_ms([factor * each for each in SEVEN])
    verdict = gated(tmp_path, "regression_percent = 10", *new, base=base)
    assert verdict.status == status
    assert verdict.judgements[0].estimate.interval.value == pytest.approx(100 * (factor - 1), abs=1)


@pytest.mark.parametrize(("slower", "status"), [(1.02, "met"), (1.05, "missed")])
def test_regression_from_processes_that_both_shared(tmp_path: Path, slower: float, status: str):
    pairs = [
        made.pair(n, [1000 * n + 10_000] * 4, [round(slower * (1000 * n + 10_000))] * 4)
        for n in range(8)
    ]
    verdict = gated(tmp_path, "regression_percent = 3", made.artifact("old.tflite"), *pairs)
    assert [each.status for each in verdict.judgements] == [status]
    assert verdict.unmatched == ()


PHONE = made.DEVICE.model_copy(update={"id": "R58"})
FASTER_MODEL = made.DEVICE.model_copy(update={"model": "Other CPU"})
HOT = Conditions(flags=["throttled"])


@pytest.mark.parametrize(
    ("opening", "fields", "named"),
    [
        ({"device": PHONE}, {}, "device host:R58 → host:host"),
        ({"device": FASTER_MODEL}, {}, "device model Other CPU → Test CPU"),
        ({"cpus": [1]}, {}, "CPU affinity 1 → any"),
        ({}, {"runtime_version": "2.2.0"}, "runtime version 2.2.0 → 2.3.0"),
        ({}, {"threads": 2}, "threads 2 → 1"),
        ({}, {"runtime_args": {"xnnpack": "off"}}, "runtime arguments xnnpack=off → none"),
        ({}, {"conditions": HOT}, "flags throttled → none"),
    ],
)
def test_a_regression_across_conditions_is_refused_by_name(
    tmp_path: Path, opening: dict[str, object], fields: dict[str, object], named: str
):
    base = [*made.opened(**opening), *made.repeats_ms(SEVEN, **fields)]
    with pytest.raises(InputRefused) as refused:
        gated(tmp_path, "regression_percent = 3", *made.repeats_ms(SEVEN), base=base)
    assert named in str(refused.value)
    assert str(refused.value).count("→") == 1


def test_of_several_earlier_settings_the_equal_one_is_taken(tmp_path: Path):
    base = [*made.opened(), *made.repeats_ms([1.0] * 7, threads=2), *made.repeats_ms(SEVEN)]
    verdict = gated(tmp_path, "regression_percent = 5", *made.repeats_ms(SEVEN), base=base)
    assert verdict.judgements[0].estimate.interval.value == pytest.approx(0, abs=1e-9)


def test_a_renamed_file_is_found_by_model_unless_there_are_variants(tmp_path: Path):
    old = made.sha256("old.tflite")
    base = [made.run(), made.artifact("old.tflite"), *made.repeats_ms(SEVEN, artifact=old)]
    text = "regression_percent = 5"
    assert gated(tmp_path, text, *made.repeats_ms(SEVEN), base=base).status == "met"
    variant = made.artifact("half.tflite")
    base += [variant, *made.repeats_ms(SEVEN, artifact=variant.sha256)]
    verdict = gated(tmp_path, text, *made.repeats_ms(SEVEN), base=base)
    assert "regression_percent of net.tflite" in verdict.unmatched[0]


def test_variants_of_one_model_have_budgets_of_their_own(tmp_path: Path):
    wide = made.artifact("two_1.0.tflite", file_bytes=9000)
    narrow = made.artifact("a folder/two_0.6.tflite", file_bytes=3000)
    records = [wide, narrow]
    for each in (wide, narrow):
        records += made.repeats_ms(SEVEN, artifact=each.sha256)
    text = (
        'artifact = "two_0.6*"\nfile_bytes = 3000\n'
        '[[budget]]\nartifact = "two_1*"\nmodel = "net"\nfile_bytes = 8000'
    )
    verdict = gated(tmp_path, text, *records)
    found = [(each.candidate.artifact.name, each.status) for each in verdict.judgements]
    assert found == [("a folder/two_0.6.tflite", "met"), ("two_1.0.tflite", "missed")]


def test_unmatched_budgets_results_and_figures_are_told(tmp_path: Path):
    text = 'model = "other"\nmacs = 1\n[[budget]]\nthreads = 1\npeak_memory_bytes = 5'
    new = [*made.repeats_ms([1.0]), *made.repeats_ms([1.0], threads=2)]
    verdict = gated(tmp_path, text, *new)
    assert verdict.judgements == ()
    budget, figure, result = verdict.unmatched
    assert budget == "budget 1 (model other) selects no result (there are model: net)"
    assert figure.startswith("budget 2: peak_memory_bytes of net.tflite")
    assert result.startswith("no budget selects net.tflite")
    assert "2 threads" in result


def test_the_worst_standing_is_the_verdicts(tmp_path: Path):
    verdict = gated(tmp_path, "latency_ms = 10\nmacs = 1\nfile_bytes = 4000", *made.repeats_ms([1]))
    assert [each.status for each in verdict.judgements] == ["undecided", "met", "missed"]
    assert verdict.status == "missed"


ESTIMATES = st.tuples(*[st.floats(1e-3, 1e3)] * 3).map(sorted)


@given(ESTIMATES, st.floats(1e-3, 1e3), st.sampled_from([2.0**n for n in range(-6, 7)]))
def test_scaling_times_and_limit_alike_keeps_the_standing(
    ordered: list[float], limit: float, factor: float
):
    low, value, high = ordered
    interval = Interval(value, low, high, 0.97)
    scaled = status_of(Estimate(interval.scaled(factor), 7), limit * factor)
    assert scaled == status_of(Estimate(interval, 7), limit)


@given(ESTIMATES)
def test_standing_only_improves_as_the_limit_rises(ordered: list[float]):
    low, value, high = ordered
    figure = Estimate(Interval(value, low, high, 0.97), 7)
    below, above = math.nextafter(low, 0), math.nextafter(high, math.inf)
    ranks = {"missed": 0, "undecided": 1, "met": 2}
    statuses = [ranks[status_of(figure, limit)] for limit in (below, low, value, high, above)]
    assert statuses == sorted(statuses)
    assert (statuses[0], statuses[-1]) == (0, 2)


def test_regression_is_asked_only_where_a_budget_bounds_it():
    def never(_: Candidate) -> Estimate | None:
        raise AssertionError("asked")

    candidate = Candidate(made.artifact(), None, {"macs": exact(5)})
    assert judge([candidate], parse_budgets("[[budget]]\nmacs = 5"), never).status == "met"


def test_peak_memory_is_the_largest_of_all_runs(tmp_path: Path):
    other = "fedcba9876543210"
    again = [made.run(other), made.artifact(run_id=other), made.memory(90, run_id=other)]
    for limit, status in ((90, "met"), (89, "missed")):
        text = f"peak_memory_bytes = {limit}"
        verdict = gated(tmp_path, text, *made.repeats_ms(SEVEN), made.memory(70), *again)
        assert [each.status for each in verdict.judgements] == [status]
