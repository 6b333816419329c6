"""Regressions from shared processes: which pairs may be judged, and which are refused."""

from __future__ import annotations

from pathlib import Path

import made_results as made
import pytest

from cnn_export.benchmarks.gate.budgets import parse_budgets
from cnn_export.benchmarks.gate.candidates import candidates_of
from cnn_export.benchmarks.gate.judge import Verdict, judge
from cnn_export.benchmarks.gate.regression import Regressions
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Conditions, Pair
from cnn_export.errors import InputRefused

NO_TIME = r"net\.tflite and old\.tflite cannot be compared: .* above zero; measure again"
BUDGETS = parse_budgets("[[budget]]\nregression_percent = 3")


def pairs(factor: float = 1.0, **fields: object) -> list[Pair]:
    base = [10_000 + 700 * n for n in range(8)]
    return [made.pair(n, [ns] * 4, [round(factor * ns)] * 4, **fields) for n, ns in enumerate(base)]


def gated(tmp_path: Path, *records: object) -> Verdict:
    results = read_results(made.save(tmp_path / "r.jsonl", [*made.opened(), *records]))
    return judge(candidates_of(results), BUDGETS, Regressions(results, None))


def test_a_series_and_its_pairs_are_one_candidate(tmp_path: Path):
    records = [made.artifact("old.tflite"), *made.repeats_ms([1.0] * 6), *pairs(1.01)]
    verdict = gated(tmp_path, *records)
    assert [each.status for each in verdict.judgements] == ["met"]
    assert verdict.unmatched == ()


@pytest.mark.parametrize(("count", "offered"), [(1, 8), (6, 8), (7, 8)])
def test_a_regression_from_few_pairs_asks_for_an_interval(tmp_path: Path, count: int, offered: int):
    """Seven processes of both orders have no interval of 95 %, eight have."""
    verdict = gated(tmp_path, made.artifact("old.tflite"), *pairs(1.5)[:count])
    (found,) = verdict.judgements
    assert (found.status, found.repeats_needed) == ("undecided", offered)


def test_a_pair_without_time_is_refused_by_name(tmp_path: Path):
    timeless = made.pair(3, [5, 5], [5, 5]).model_copy(update={"a_ns": [0, 5]})
    lines = [*made.opened(), made.artifact("old.tflite"), *pairs()[:3], timeless]
    with pytest.raises(InputRefused, match=r"line 7 is damaged \(a_ns\.0"):
        gated(tmp_path, *lines[2:])
    (paired,) = made.results(lines).pairs
    with pytest.raises(InputRefused, match=NO_TIME):
        _ = paired.comparison


def test_the_base_is_not_judged(tmp_path: Path):
    hot = Conditions(flags=["throttled"])
    verdict = gated(tmp_path, made.artifact("old.tflite"), *pairs(1.5, conditions=hot))
    assert verdict.judgements[0].estimate.flags == ("throttled",)
    assert [each.candidate.artifact.name for each in verdict.judgements] == ["net.tflite"]
    assert verdict.status == "missed"


@pytest.mark.parametrize("field", ["model", "precision"])
def test_another_model_is_no_earlier_version(tmp_path: Path, field: str):
    with pytest.raises(InputRefused, match="no version of it"):
        gated(tmp_path, made.artifact("old.tflite", **{field: "other"}), *pairs())


def test_another_runtime_is_refused_by_name(tmp_path: Path):
    with pytest.raises(InputRefused, match=r"runtime version 2\.0 → 2\.3\.0"):
        gated(tmp_path, made.artifact("old.tflite"), *pairs(runtime_versions=("2.0", "2.3.0")))


def test_two_bases_are_refused(tmp_path: Path):
    older = made.artifact("older.tflite")
    with pytest.raises(InputRefused, match="several artifacts"):
        gated(tmp_path, made.artifact("old.tflite"), older, *pairs(), *pairs(a=older.sha256))


def test_two_equal_versions_in_a_baseline_are_refused(tmp_path: Path):
    again = made.artifact(sha256=made.sha256("rebuilt"))
    repeats = [*made.repeats_ms([1.0] * 6), *made.repeats_ms([2.0] * 6, artifact=again.sha256)]
    base = read_results(made.save(tmp_path / "b.jsonl", [*made.opened(), again, *repeats]))
    new = [*made.opened(), *made.repeats_ms([1.0] * 6)]
    results = read_results(made.save(tmp_path / "n.jsonl", new))
    with pytest.raises(InputRefused, match="several versions"):
        judge(candidates_of(results), BUDGETS, Regressions(results, base))
