"""The project gates itself: the shipped SkipNet, in figures that no machine changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cost_networks import read_cost
from page_runs import Place
from pages import ROOT

from cnn_export.benchmarks.cli import main as cnn_bench
from cnn_export.benchmarks.cost.explanation import UNEXPLAINED, explain

BUDGETS = ROOT / "benchmarks" / "budgets.toml"
SUFFIXES = ("tflite", "onnx", "pte", "mlpackage")


@pytest.fixture(scope="module")
def files(place: Place) -> list[Path]:
    """The shipped SkipNet in each format."""
    return [place.folder / "out" / f"skipnet_digits.{suffix}" for suffix in SUFFIXES]


@pytest.fixture(scope="module")
def artifacts(files: list[Path]) -> list[str]:
    """``--artifact FILE`` for each format."""
    return [text for file in files for text in ("--artifact", str(file))]


def test_the_four_formats_agree_on_what_they_cost(files: list[Path]):
    costs = [read_cost(file) for file in files]
    assert [cost.macs for cost in costs] == [822_096] * len(SUFFIXES)
    for cost in costs:
        parts = explain(costs[0], cost)
        assert sum(part.mac_bytes for part in parts) == cost.mac_bytes - costs[0].mac_bytes
        assert UNEXPLAINED not in {part.cause for part in parts}


def test_the_shipped_skipnet_is_within_its_budgets(
    artifacts: list[str], capsys: pytest.CaptureFixture[str]
):
    code = cnn_bench(["gate", *artifacts, "--budgets", str(BUDGETS)])
    shown = capsys.readouterr()
    assert code == 0, shown.out + shown.err
    # Two figures of each format by the first budget, two by the format's own.
    assert "0 missed, 0 undecided, 16 met" in shown.out


def test_one_multiply_more_than_budgeted_is_found(artifacts: list[str], tmp_path: Path):
    text = BUDGETS.read_text(encoding="utf-8")
    assert "macs = 822_096" in text
    tighter = tmp_path / "budgets.toml"
    tighter.write_text(text.replace("macs = 822_096", "macs = 822_095"), encoding="utf-8")
    assert cnn_bench(["gate", *artifacts, "--budgets", str(tighter)]) == 10


def test_no_budget_has_room_to_grow_into(artifacts: list[str], capsys: pytest.CaptureFixture[str]):
    assert cnn_bench(["gate", *artifacts, "--budgets", str(BUDGETS), "--json"]) == 0
    for each in json.loads(capsys.readouterr().out)["judgements"]:
        assert each["value"] <= each["limit"] < 1.02 * each["value"], each["bound"]
