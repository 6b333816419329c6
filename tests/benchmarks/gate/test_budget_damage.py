"""A damaged budget file is refused in a line, or read to the letter."""

from __future__ import annotations

import contextlib
import io
import math
import tomllib
from pathlib import Path

import made_results as made
import pytest
from damage import damaged_bytes, damaged_lines
from effort import seeds
from two_devices import (
    WHOLE,
    refusal_or,
)

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.gate.budgets import BOUNDS, read_budgets

BUDGETS = """# What a release may take.
[[budget]]
model = "net*"
target = "tflite"
threads = 1
latency_ms = 12.5
latency_p90_ms = 15
regression_percent = 3
allow_slight_regression = false

[[budget]]
device = "R5*"
peak_memory_bytes = 60_000_000
file_bytes = 25_000_000
macs = 240_000_000
mac_bytes = 30_000_000
partitions = 1
load_ms = 40.25
"""


def test_a_damaged_budget_file_is_refused_or_read_to_the_letter(tmp_path: Path):
    """Nothing in it is passed over: what is read is what an independent reader of TOML finds."""
    path = tmp_path / "b.toml"
    read = 0
    for seed in seeds():
        damage = (damaged_bytes, lambda content, s: damaged_lines(content.decode(), s).encode())
        path.write_bytes(damage[seed % 2](BUDGETS.encode(), seed))
        budgets = refusal_or(read_budgets, path)
        if budgets is None:
            continue
        read += 1
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["budget"]
        assert [each.model_dump(exclude_unset=True) for each in budgets] == tables
        for budget in budgets:
            assert budget.bounds
            assert all(math.isfinite(limit) and limit >= 0 for limit in budget.bounds.values())
            assert budget.bounds.keys() <= BOUNDS.keys()
    assert 0 < read < len(seeds())


@pytest.mark.parametrize(
    "text",
    [
        "budget = " + "[" * 5000,
        "[[budget]]\nmacs = 0x" + "f" * 5000,
        "[[budget]]\nmacs = " + "9" * 5000,
        "[[budget]]\nthreads = 0x" + "f" * 400,
        "[[budget]]\nlatency_ms = 1e308",
        "[[budget]]\nlatency_ms = inf",
        "[[budget]]\nlatency_ms = true",
        "[[budget]]\nregression_percent = nan",
        "[[budget]]\nmodel = 2026-01-01\nmacs = 1",
        "[[budget]]\n" + "x" * 100_000 + " = 1",
        "[[budget]]\nmacs = '" + "x" * 100_000 + "'",
        "[[budget]]\nmodel = '" + "*a" * 2000 + "'\nmacs = 1",
        "[[budget]]\nmodel = '[!]'\nmacs = 1\n[[budget]]\nmodel = '[z-a]'\nmacs = 1",
    ],
)
def test_odd_budgets_are_refused_in_a_line(text: str, tmp_path: Path):
    results = made.save_as_is(tmp_path / "r.jsonl", WHOLE)
    (tmp_path / "b.toml").write_text(text)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(["gate", str(results), "--budgets", str(tmp_path / "b.toml")])
    assert code == 4
    assert len(said.getvalue()) < 1500
