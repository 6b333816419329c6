"""What published variants become: ratios of times, the columns of the table, and resuming."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from exported import export_shipped, made_once

from cnn_export.benchmarks.studies.field import jobs, published, zoo_job
from cnn_export.benchmarks.studies.field.ratios import Ratio, ratio
from cnn_export.benchmarks.studies.field.rows import (
    Cell,
    Ended,
    Row,
    as_line,
    from_line,
    read_job,
)
from cnn_export.benchmarks.studies.field.zoo_networks import built
from cnn_export.benchmarks.studies.recognition.list_of_models import table
from cnn_export.errors import UsageError
from cnn_export.models.listing.figures import Figures

NARROW = Ratio(1.50, 1.45, 1.55, 0.95, 12, "a host (not a phone's times)")
WIDE = dataclasses.replace(NARROW, low=1.2, high=1.9)


def row(name: str, *, ratio: Ratio | None = None, partitions: int = 1, outside: int = 0) -> Row:
    cells = {
        "tflite": Cell(partitions=partitions, outside=outside, ratio=ratio),
        "executorch": Cell(refusal="parity failed"),
    }
    return Row(name, "published", "", 1_000_000, cells)


def test_a_file_takes_as_long_as_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = made_once(tmp_path_factory, "shipped", export_shipped) / "out" / "skipnet_digits.tflite"
    found = ratio(file, file, 2)
    assert 0.5 < found.value < 2
    assert found.low <= found.value <= found.high
    assert found.processes == 2
    assert "not a phone's times" in found.host
    assert not found.sound, "two processes show nothing"


def test_what_is_sound() -> None:
    assert NARROW.sound
    assert not WIDE.sound
    assert not dataclasses.replace(NARROW, confidence=0.9).sound
    assert str(NARROW) == "1.50 (1.45 to 1.55)"


def test_a_variant_has_its_published_size() -> None:
    _, (image,) = built("published:cifar_mobilenet_v2")
    assert image.shape == (1, 3, 32, 32)
    with pytest.raises(UsageError, match="unknown model 'cifar_mobilenet_v3'"):
        built("published:cifar_mobilenet_v3")


def test_a_job_times_what_is_of_the_other_s_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, Path, int]] = []
    monkeypatch.setattr(zoo_job, "ratio", lambda *args: asked.append(args) or NARROW)
    monkeypatch.setattr(zoo_job, "_make", lambda _name, target, output, _made: output / target)
    base = tmp_path / "base.tflite"
    base.touch()
    arguments = ["published:cifar_mobilenet_v2", "x.tflite", "--output", str(tmp_path)]
    monkeypatch.setattr(zoo_job.command.params[1], "type", click.STRING)
    given = [*arguments, "y.pte", "--no-bare", "--against", str(base), "--repeats", "3"]
    ended = CliRunner().invoke(zoo_job.command, given, catch_exceptions=False)
    assert asked == [(base, tmp_path / "x.tflite", 3)]
    assert json.loads(ended.stdout)["ratio"] == {"x.tflite": vars(NARROW)}


def test_a_ratio_is_kept_with_its_row() -> None:
    manifest = {"target": "tflite", "macs": 5, "partitions": None, "parity": None}
    output = {
        "artifacts": [{"manifest": manifest}],
        "refusals": {},
        "ratio": {"tflite": vars(NARROW)},
    }
    found = read_job("m", "published", ("tflite",), Ended(0, json.dumps(output), ""))
    assert found.cells["tflite"].ratio == NARROW
    assert from_line(as_line(found)) == found


def test_columns_have_what_is_sound_and_why_there_is_no_file() -> None:
    rows = [row("a", ratio=NARROW), row("b", ratio=WIDE, partitions=3, outside=12)]
    assert published.columns(rows) == {
        "TFLite": {"a": "1 part.", "b": "3 part., 12 outside"},
        "ExecuTorch": {"a": "no: parity failed", "b": "no: parity failed"},
        f"time over MobileNetV2's, TFLite, {NARROW.host}": {"a": "1.50 (1.45 to 1.55)"},
    }
    other = dataclasses.replace(NARROW, host="another")
    assert len(published.columns([rows[0], row("c", ratio=other)])) == 2  # of two hosts, none
    assert published.columns([]) == {}


def test_the_table_has_them_beside_the_counts() -> None:
    text = table(lambda *_: Figures(5_532_352, 236_600_000), [row("SkipNet-M", ratio=NARROW)])
    head, _, *lines = text.splitlines()
    assert head.split(" | ")[5:7] == ["TFLite", "ExecuTorch"]
    (line,) = (line for line in lines if line.startswith("| SkipNet-M |"))
    assert "| 1 part. | no: parity failed | 1.50 (1.45 to 1.55) |" in line
    assert all(line.count(" | ") == head.count(" | ") for line in lines)


def test_every_counted_variant_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def quick(job: jobs.Job) -> Row:
        asked.append(job.command[3:])
        cells = {target: Cell(partitions=1) for target in job.targets}
        return Row(job.file, job.network(), "", None, cells)

    monkeypatch.setattr(jobs, "_row", quick)
    monkeypatch.setattr(published, "_reference", lambda folder: folder / "base.tflite")
    arguments = ["--results", str(tmp_path / "r.jsonl")]
    for _ in range(2):
        CliRunner().invoke(published.main, arguments, catch_exceptions=False)
    assert len(asked) == len(set(asked)) >= 60
    assert asked[0][1:4] == ("tflite", "executorch", "--no-bare")
    assert all("--against" in command for command in asked)
