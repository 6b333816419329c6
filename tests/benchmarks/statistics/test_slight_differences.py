"""A difference that is shown and does not count: told as that, everywhere alike."""

from __future__ import annotations

import io
import json
from pathlib import Path

import made_results as made
import pytest
from rich.console import Console

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.report.writing import Sources, page_of
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Record
from cnn_export.benchmarks.statistics.comparison import (
    Verdict,
    compare_separate,
    verdict_of,
    verdict_words,
)
from cnn_export.benchmarks.statistics.intervals import Interval
from cnn_export.benchmarks.tables import run_document, run_table

WORDS = "slower by 1.5 %, below the 2 % that counts"


@pytest.mark.parametrize(
    ("value", "low", "high", "confidence", "verdict"),
    [
        (1.015, 1.014, 1.016, 0.95, "slightly slower"),
        (1.015, 1.0, 1.016, 0.95, "no difference shown"),
        (1.015, 1.014, 1.016, 0.94, "undecided"),
        (1.015, 1.014, 1.021, 0.95, "undecided"),
        (1 / 1.015, 1 / 1.016, 1 / 1.014, 0.95, "slightly faster"),
        (1 / 1.015, 1 / 1.016, 1.0, 0.95, "no difference shown"),
        (1.03, 1.021, 1.04, 0.95, "slower"),
    ],
)
def test_the_interval_tells(
    value: float, low: float, high: float, confidence: float, verdict: Verdict
):
    assert verdict_of(Interval(value, low, high, confidence), 0.001, 0.02, 0.95) == verdict


def test_both_directions_are_told_by_the_same_percentage():
    base = [[1_000_000 + 100 * n] for n in range(10)]
    new = [[round(1.015 * times[0])] for times in base]
    there, back = compare_separate(base, new), compare_separate(new, base)
    assert verdict_words(there) == WORDS
    assert verdict_words(back) == WORDS.replace("slower", "faster")
    assert verdict_words(compare_separate(base, base)) == "no difference shown"


def records() -> list[Record]:
    pairs = [
        made.pair(n, [1_000_000 + 100 * n] * 4, [round(1.015 * (1_000_000 + 100 * n))] * 4)
        for n in range(10)
    ]
    return made.planned([*made.opened(), made.artifact("old.tflite"), *pairs])


def test_every_display_tells_it_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = made.save_as_is(tmp_path / "r.jsonl", records())
    (tmp_path / "b.toml").write_text("[[budget]]\nregression_percent = 2\n")
    assert main(["compare", str(path)]) == 0
    assert WORDS in capsys.readouterr().out
    assert main(["compare", str(path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["comparisons"]
    assert (found["verdict"], found["told"]) == ("slightly slower", WORDS)
    gate = ["gate", str(path), "--budgets", str(tmp_path / "b.toml")]
    assert main(gate) == 0
    assert WORDS in capsys.readouterr().out
    assert main([*gate, "--json"]) == 0
    (judged,) = json.loads(capsys.readouterr().out)["judgements"]
    assert (judged["verdict"], judged["comparison"]) == ("met", "slightly slower")
    assert WORDS in judged["remark"]
    assert page_of(Sources(path, budgets=tmp_path / "b.toml")).count(WORDS) >= 3
    (row,) = run_document.document(read_results(path))["comparisons"]
    assert row["told"] == WORDS
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(run_table.render(read_results(path)))
    assert WORDS in console.export_text()


@pytest.mark.parametrize(
    ("limit", "allowed", "code"), [(2, "true", 0), (2, "false", 10), (1.5, "false", 10)]
)
def test_a_gate_can_be_asked_for_it(tmp_path: Path, limit: float, allowed: str, code: int):
    path = made.save_as_is(tmp_path / "r.jsonl", records())
    (tmp_path / "b.toml").write_text(
        f"[[budget]]\nregression_percent = {limit}\nallow_slight_regression = {allowed}\n"
    )
    assert main(["gate", str(path), "--budgets", str(tmp_path / "b.toml")]) == code


def test_no_difference_passes_the_stricter_gate(tmp_path: Path):
    pairs = [made.pair(n, [1000 + n] * 4, [1000 + n] * 4) for n in range(10)]
    lines = [*made.opened(), made.artifact("old.tflite"), *pairs]
    path = made.save(tmp_path / "r.jsonl", lines)
    (tmp_path / "b.toml").write_text(
        "[[budget]]\nregression_percent = 2\nallow_slight_regression = false\n"
    )
    assert main(["gate", str(path), "--budgets", str(tmp_path / "b.toml")]) == 0


def test_the_question_needs_a_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "b.toml").write_text("[[budget]]\nmacs = 1\nallow_slight_regression = false\n")
    path = made.save_as_is(tmp_path / "r.jsonl", records())
    assert main(["gate", str(path), "--budgets", str(tmp_path / "b.toml")]) == 4
    assert "allow_slight_regression is about regression_percent" in capsys.readouterr().err
