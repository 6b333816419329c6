"""The walk over checkpoints: rows from real jobs, resumed, and the reasons under the table."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cnn_export.benchmarks.studies.field import jobs
from cnn_export.benchmarks.studies.field.pages import page_with
from cnn_export.benchmarks.studies.field.rows import (
    Cell,
    Ended,
    Row,
    as_line,
    from_line,
    read_job,
)
from cnn_export.benchmarks.studies.field.table import markdown
from cnn_export.benchmarks.studies.field.walk import README, RESULTS, main, readme_with
from cnn_export.targets import TARGETS

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


def test_what_another_target_s_refusal_ended_is_asked_for_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def quick(job: jobs.Job) -> Row:
        asked.append(job.targets)
        wrong = [target for target in job.targets if target == "executorch"]
        said = "executorch: off by 0.1" if wrong else ""
        cells = {t: Cell(said, None if wrong else 1) for t in job.targets}
        return Row(job.file, "skipnet", said, None, cells)

    monkeypatch.setattr(jobs, "_row", quick)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.pt").touch()
    arguments = [str(tmp_path / "in" / "a.pt"), "--results", str(tmp_path / "r.jsonl")]
    for _ in range(2):
        walked = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert asked == [tuple(sorted(TARGETS)), ("coreml",), ("onnx",), ("tflite",)]
    assert "| in/a.pt | skipnet |  | 1 part. | no [1] | 1 part. | 1 part. |" in walked.stdout


def test_the_table_of_official_files_is_that_of_the_rows() -> None:
    rows = jobs.rows_in(RESULTS)
    assert readme_with(markdown(rows)) == README.read_text("utf-8"), "walk --write"
    keys = Path("tests/models/official/keys").absolute()
    assert {row.file.split("/")[0] for row in rows} <= {file.stem for file in keys.iterdir()}


def test_a_page_without_the_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("<!-- written by tea -->\nold\n<!-- end -->\n")
    assert page_with(tmp_path / "page.md", "tea", "new").splitlines()[2] == "new"
    with pytest.raises(ValueError, match=r"page\.md has no place for what coffee writes"):
        page_with(tmp_path / "page.md", "coffee", "new")
