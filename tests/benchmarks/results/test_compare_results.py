"""``cnn-bench compare``: what is matched, its ratio and verdict, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import made_results as made
import pytest

from cnn_export.benchmarks.cli import main
from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.benchmarks.tables import compare_table
from cnn_export.benchmarks.tables.judged_accuracy import accuracy_change

MEDIANS = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2, 10.3]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return made.save(tmp_path / "base.jsonl", [*made.opened(), *made.repeats_ms(MEDIANS)])


def compared(capsys: pytest.CaptureFixture[str], *files: Path) -> dict[str, object]:
    assert main(["compare", *map(str, files), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["compare", *map(str, arguments)])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return code, error


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.5, "slower"), (0.5, "faster"), (1.0, "undecided")],
)
def test_two_files_are_compared(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str], factor: float, verdict: str
):
    repeats = made.repeats_ms([factor * each for each in MEDIANS])
    new = made.save(tmp_path / "new.jsonl", [*made.opened(), *repeats])
    (found,) = compared(capsys, base, new)["comparisons"]
    assert found["verdict"] == verdict
    assert found["ratio"] == pytest.approx(factor, rel=0.01)
    assert found["ratio_low"] < found["ratio"] < found["ratio_high"]
    assert found["differing"] == []
    assert (found["repeats_needed"] is None) == (verdict != "undecided")


def test_exchanging_the_files_inverts_the_ratio(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
):
    repeats = made.repeats_ms([1.3 * each + 0.01 * n for n, each in enumerate(MEDIANS)])
    new = made.save(tmp_path / "new.jsonl", [*made.opened(), *repeats])
    (there,) = compared(capsys, base, new)["comparisons"]
    (back,) = compared(capsys, new, base)["comparisons"]
    assert there["ratio"] * back["ratio"] == pytest.approx(1)
    assert there["ratio_low"] * back["ratio_high"] == pytest.approx(1)
    assert there["p_value"] == pytest.approx(back["p_value"])


def test_other_versions_and_conditions_are_compared_but_named(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
):
    fields = {"runtime_version": "9.0", "conditions": Conditions(flags=["throttled"])}
    new = made.save(tmp_path / "n.jsonl", [*made.opened(), *made.repeats_ms(MEDIANS, **fields)])
    (found,) = compared(capsys, base, new)["comparisons"]
    assert found["differing"] == ["runtime version 2.3.0 → 9.0", "flags none → throttled"]
    assert found["flags"] == ["throttled"]


def test_what_has_no_partner_is_told(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
):
    records = [*made.opened(), *made.repeats_ms(MEDIANS), *made.repeats_ms(MEDIANS, threads=4)]
    new = made.save(tmp_path / "new.jsonl", records)
    document = compared(capsys, base, new)
    assert len(document["comparisons"]) == 1
    assert document["only_base"] == []
    assert len(document["only_new"]) == 1
    assert main(["compare", str(base), str(new)]) == 0
    told = capsys.readouterr()
    assert "only in new: net.tflite" in told.err
    assert "4 threads" in told.err


def test_nothing_in_common_is_refused(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
):
    new = made.save(tmp_path / "new.jsonl", [*made.opened(), *made.repeats_ms(MEDIANS, threads=2)])
    code, error = failed(capsys, base, new)
    assert (code, "nothing was compared" in error) == (4, True)


def test_pairs_of_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pairs = [made.pair(n, [10_000 + 900 * n] * 5, [10_400 + 936 * n] * 5) for n in range(11)]
    records = [*made.opened(), made.artifact("old.tflite"), *pairs]
    path = made.save(tmp_path / "pairs.jsonl", records)
    (found,) = compared(capsys, path)["comparisons"]
    assert (found["base"]["name"], found["new"]["name"]) == ("old.tflite", "net.tflite")
    assert found["ratio"] == pytest.approx(1.04)
    assert found["verdict"] == "slower"
    # Eleven ratios alike: two of the C(11, 5) deals to the orders are as extreme.
    assert found["p_value"] == pytest.approx(2 / math.comb(11, 5))


def test_the_table_shows_the_verdict_and_escapes_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    name = "[bold]\x1b[31mnet.tflite"
    records = [
        made.run(),
        made.artifact(name),
        *made.repeats_ms(MEDIANS, artifact=made.sha256(name)),
    ]
    path = made.save(tmp_path / "a.jsonl", records)
    assert main(["compare", str(path), str(path)]) == 0
    text = capsys.readouterr().out
    assert "1.000" in text
    assert "undecided" in text
    assert "\x1b" not in text
    assert "[bold]\\x1b[31mnet.tflite" in text


def test_pairs_that_were_not_interleaved_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    uneven = made.pair(0, [1] * 9, [1] * 9).model_copy(update={"b_ns": [1] * 3})
    records = [*made.opened(), made.artifact("old.tflite"), uneven]
    code, error = failed(capsys, made.save(tmp_path / "pairs.jsonl", records))
    assert (code, "equally many times" in error) == (4, True)


def test_one_file_without_pairs_is_refused(base: Path, capsys: pytest.CaptureFixture[str]):
    code, error = failed(capsys, base)
    assert (code, "holds no pairs" in error) == (4, True)


def test_three_files_are_a_wrong_usage(base: Path, capsys: pytest.CaptureFixture[str]):
    assert failed(capsys, base, base, base)[0] == 2


JUDGED: dict[str, Any] = {"output": "scores", "figure": "agreement", "bound": 0.65, "samples": 40}
SHARE = {**JUDGED, "value": 0.815, "low": 0.758, "high": 0.861}
TRUE: list[dict[str, Any]] = [
    {"output": "scores", "figure": "accuracy of fp32", "value": 1.0, "samples": 12},
    {"output": "scores", "figure": "accuracy of the artifact", "value": 11 / 12, "samples": 12},
]
LOST = {"output": "scores", "figure": "accuracy lost", "value": 1 / 12, "bound": 0.1, "samples": 12}
SOURCE: dict[str, Any] = {"sha256": "a" * 64, "approximated": False}
OTHER = {**SOURCE, "sha256": "b" * 64}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"accuracy": [SHARE]}, "fp32 → agreement 81.5% (75.8% to 86.1%) of 40"),
        ({"accuracy": [{**JUDGED, "value": 0.91}]}, "fp32 → agreement 0.91 of 40"),
        ({"accuracy": [*TRUE, LOST]}, "fp32 → accuracy 91.7% of fp32's 100.0%, of 12"),
        (
            {"accuracy": [TRUE[0], {**TRUE[1], "figure": "accuracy of int8"}, LOST]},
            "fp32 → accuracy 91.7% of fp32's 100.0%, of 12",
        ),
        ({"accuracy": []}, "fp32 → not judged"),
        ({}, "fp32 → not known"),
    ],
)
def test_size_time_bytes_and_accuracy_stand_beside_the_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fields: dict[str, Any], said: str
):
    """fp32 against int8 in one table: what was judged when the file was made, nothing new."""
    given: dict[str, Any] = {"source": SOURCE} | fields
    int8 = made.artifact(precision="int8", file_bytes=1_100_000, mac_bytes=600_000, **given)
    plain = made.artifact("old.tflite", file_bytes=4_000_000, mac_bytes=2_000_000, source=SOURCE)
    artifacts = [each.sha256 for each in (plain, int8)]
    pairs = [made.pair(n, [2_000_000 + n] * 5, [1_000_000 + n] * 5) for n in range(8)]
    lines = [made.run(artifacts=artifacts, compare=True, repeats=8), plain, int8, *pairs]
    path = made.save(tmp_path / "pairs.jsonl", lines)
    (found,) = compared(capsys, path)["comparisons"]
    assert (found["base"]["file_bytes"], found["new"]["mac_bytes"]) == (4_000_000, 600_000)
    assert found["base"]["median_ns"] == pytest.approx(2_000_003.5)
    assert found["base"]["accuracy"] is None
    assert len(found["new"]["accuracy"] or []) == len(fields.get("accuracy") or [])
    (row,) = compare_table.of_pairs(read_results(path)).rows
    table = compare_table.table_of(compare_table.Comparisons((row,)))
    cells = {str(each.header): next(iter(each.cells)) for each in table.columns}
    assert cells["ms"] == "2.00 → 1.00"
    assert (cells["file MB"], cells["MB moved"]) == ("4.00 → 1.10", "2.00 → 0.600")
    assert cells["accuracy"] == said


ACCEPTED = "not proven: an error of up to 0.002 of the RMS was accepted"
OWN = "agreement 81.5% (75.8% to 86.1%) of 40, of its own fp32"


@pytest.mark.parametrize(
    ("base", "new", "said"),
    [
        ({"source": SOURCE}, {"source": OTHER}, OWN),
        ({"source": SOURCE}, {"source": {**SOURCE, "arguments": {"width": "2"}}}, OWN),
        (
            {"source": {**SOURCE, "inputs": [[3, 224, 224]]}},
            {"source": {**SOURCE, "inputs": [[3, 192, 192]]}},
            OWN,
        ),
        ({"source": {"approximated": False}}, {"source": {"approximated": False}}, OWN),
        ({}, {}, f"not known → {OWN}"),
        ({"source": SOURCE}, {}, OWN),
        (
            {"source": {**SOURCE, "approximated": True}},
            {"source": {**SOURCE, "approximated": True}},
            f"fp32 of an approximation, not of its checkpoint → {OWN}",
        ),
        ({"source": SOURCE, "precision": "fp16", "accuracy": []}, {}, f"not judged → {OWN}"),
        (
            {"source": SOURCE},
            {"source": OTHER, "precision": "fp32", "accuracy": []},
            "fp32",
        ),
        (
            {"source": SOURCE, "accepted": 2e-3},
            {"source": SOURCE},
            f"fp32; {ACCEPTED} → {OWN}",
        ),
        (
            {"source": SOURCE},
            {"source": SOURCE, "accepted": 2e-3},
            f"fp32 → agreement 81.5% (75.8% to 86.1%) of 40; {ACCEPTED}",
        ),
    ],
)
def test_accuracy_is_of_another_files_fp32_only_where_one_checkpoint_made_both(
    base: dict[str, Any], new: dict[str, Any], said: str
):
    """What int8 of one network keeps says nothing about another network's answers."""
    given: dict[str, Any] = {"precision": "int8", "accuracy": [SHARE]} | new
    assert accuracy_change(made.artifact("old.tflite", **base), made.artifact(**given)) == said
