"""Results of two artifacts, less some processes, and what the gate says of them."""

from __future__ import annotations

from pathlib import Path

import made_results as made

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.results.record_types import Record

A, B = made.sha256("a.tflite"), made.sha256("b.tflite")
MEDIANS = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2]
BOUND = "[[budget]]\nlatency_ms = 11\n"
Lines = list[Record]


def lines(missing: int = 0) -> Lines:
    """A run of two artifacts, six processes each, ``missing`` of the second's at the end."""
    opening = [made.run(artifacts=[A, B]), made.artifact("a.tflite"), made.artifact("b.tflite")]
    of_b = made.repeats_ms([1.01 * each for each in MEDIANS], artifact=B)
    return [*opening, *made.repeats_ms(MEDIANS, artifact=A), *of_b[: 6 - missing]]


def gated(folder: Path, records: Lines, *options: object, budgets: str = BOUND) -> int:
    path = made.save_as_is(folder / "r.jsonl", records)
    (folder / "b.toml").write_text(budgets)
    return main(["gate", str(path), "--budgets", str(folder / "b.toml"), *map(str, options)])
