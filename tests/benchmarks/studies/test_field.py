"""The walk over checkpoints: rows from real jobs, resumed, and the reasons under the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cnn_export.benchmarks.studies.field.rows import (
    Cell,
    Ended,
    Row,
    as_line,
    from_line,
    read_job,
)
from cnn_export.benchmarks.studies.field.table import markdown
from cnn_export.benchmarks.studies.field.walk import main

SHIPPED = Path("models/checkpoints/skipnet_digits.pt").absolute()


def _walk(results: Path, *files: Path) -> str:
    arguments = [*map(str, files), "--results", str(results), "--target", "onnx"]
    walked = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert walked.exit_code == 0
    return walked.stdout


def test_a_walk_tells_what_was_recognised_and_resumes(tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.pt"
    torch.save({"strange.weight": torch.ones(3, 5)}, unknown)
    results = tmp_path / "field.jsonl"
    table = _walk(results, unknown, SHIPPED)
    shipped, strange = (from_line(line) for line in sorted(results.read_text().splitlines()))
    assert shipped.network == "skipnet(width=0.2, classes=10, in_channels=3)"
    assert shipped.macs is not None
    assert abs(shipped.macs / 1e6 - 0.82) < 0.01  # as models/README.md states
    assert shipped.cells["onnx"].partitions == 1
    assert 0 < (shipped.cells["onnx"].relative_error or 0) < 1e-5
    assert strange.network == ""
    assert strange.cells["onnx"].refusal.startswith("no known network has these 1 tensors")
    assert "| no |  | no [1] |" in table
    written = results.read_bytes()
    assert _walk(results, unknown, SHIPPED) == table
    assert results.read_bytes() == written


@pytest.mark.parametrize("code", [1, 5, 130, 137, 143, -9])
def test_an_end_from_outside_is_no_row(code: int) -> None:
    """Killed, interrupted or short of a package: nothing is known of the checkpoint."""
    with pytest.raises(ValueError, match=r"f/a\.pt: terminated"):
        read_job("f/a.pt", "skipnet", ("onnx",), Ended(code, "", "cnn-export: terminated"))


def test_what_is_refused_later_is_still_recognised() -> None:
    said = "cnn-export: out/a.pt: parity failed on onnx"
    row = read_job("f/a.pt", "skipnet(width=1)", ("onnx",), Ended(3, "", said))
    assert row.network == "skipnet(width=1)"
    assert row.cells["onnx"] == Cell("parity failed on onnx")


def test_one_reason_stands_once() -> None:
    refused = Cell(refusal="too old")
    rows = [Row(f"f/{n}.pt", "", "too old", None, {"onnx": refused}) for n in "ab"]
    made = Row("f/c.pt", "skipnet", "", 2_500_000, {"onnx": Cell("", 2, 3, 4e-7)})
    table = markdown([*map(from_line, map(as_line, rows)), made])
    assert table.count("too old") == 1
    assert table.count("no [1]") == 2
    assert "| f/c.pt | skipnet | 2.5 | 2 part., 3 outside, 4.0e-07 |" in table
