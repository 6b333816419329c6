"""``--explain`` tells the whole report in 100 columns, however long the lists are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from command_checks import SMALL

from cnn_export.__main__ import main
from cnn_export.job.explain import COLUMNS, explanation
from cnn_export.reparam import PassReport, Report
from cnn_export.reparam.cost import Cost
from cnn_export.reparam.program_pass import Decision, Figures, Refusal
from cnn_export.reparam.report import Proof

BEFORE = Cost(ops=900, parameters=5_000, parameter_bytes=20_000, buffer_bytes=64, macs=2_000_000)
AFTER = Cost(ops=300, parameters=2_500, parameter_bytes=10_000, buffer_bytes=64, macs=500_000)


PROOF = Proof(2e-15, 1e-9)


def _report(*passes: PassReport, proof: Proof | None = PROOF) -> Report:
    return Report(passes=passes, rounds=3, before=BEFORE, after=AFTER, proof=proof)


def _merging(count: int = 180) -> PassReport:
    return PassReport(
        "Merge",
        tuple(f"add_{i}" for i in range(count)),
        tuple(Refusal(f"sum_{i}", f"conv2d_{i} is also read: relu_{i}") for i in range(40)),
        (
            *(
                Decision(f"add_{i}", True, Figures(3_000_000 * (i + 1), 2_000_000), Figures(10, 20))
                for i in range(count)
            ),
            Decision("neck", False, Figures(7_000, 900), Figures(14_000, 1_800), "costs 2 x more"),
        ),
    )


def test_costs_stand_side_by_side() -> None:
    lines = explanation(_report()).splitlines()
    assert lines[2].split() == ["before", "after", "change"]
    assert lines[3].split() == ["operators", "900", "300", "-66.7", "%"]
    assert any(line.split() == ["MACs", "2,000,000", "500,000", "-75.0", "%"] for line in lines)
    assert any(line.split() == ["buffer", "bytes", "64", "64", "="] for line in lines)
    assert any(line.split() == ["parameter", "bytes", "20,000", "10,000", "-50.0", "%"]
               for line in lines)  # fmt: skip


def test_the_proof_and_its_absence() -> None:
    first = explanation(_report()).splitlines()[0]
    assert first == ("Reparameterization: 3 rounds, error 2.0e-15 of RMS in float64 (limit 1e-09)")
    assert "3 rounds, not proven" in explanation(_report(proof=None))


def test_hundreds_of_places_are_counted() -> None:
    text = explanation(_report(_merging(), PassReport("Idle", (), ())))
    lines = text.splitlines()
    assert len(lines) < 50
    assert max(map(len, lines)) <= COLUMNS
    assert "  fired at add_0, add_1, add_2, add_3, add_4 and 175 more" in lines
    assert "weighed: taken" in text
    assert [line.split() for line in lines if line.startswith("Merge ")] == [
        ["Merge", "180", "40", "180", "1"]
    ]
    assert [line.split() for line in lines if line.startswith("Idle")] == [["Idle", "0", "0"]]


def test_reasons_of_one_kind_are_one_line() -> None:
    told = " ".join(explanation(_report(_merging())).split())
    assert (
        "refused at sum_0, sum_1, sum_2, sum_3, sum_4 and 35 more: conv2d_0 is also read: relu_0 "
        "(the first; the others likewise)"
    ) in told
    assert told.count("is also read") == 1


def test_figures_of_what_was_weighed() -> None:
    lines = [line.split() for line in explanation(_report(_merging())).splitlines()]
    assert ["taken:", "180", "M", "MACs", "merged", "MB", "moved", "merged"] in lines
    assert ["add_179", "540.00", "0.00", "2.00", "0.00"] in lines  # the largest comes first
    assert ["and", "175", "more"] in lines
    total = sum(3 * (i + 1) for i in range(180))
    assert ["together", f"{total:,.2f}", "0.00", "360.00", "0.00"] in lines
    assert ["neck", "0.01", "0.01", "0.00", "0.00"] in lines
    assert ["kept", "at", "neck:", "costs", "2", "x", "more"] in lines


def test_a_kept_region_is_not_told_twice() -> None:
    decision = Decision("neck", False, Figures(7, 9), Figures(14, 18), "not cheaper")
    each = PassReport("Merge", (), (Refusal("neck", "not cheaper"),), (decision,))
    text = explanation(_report(each))
    assert text.count("not cheaper") == 1
    assert "refused at" not in text


def test_many_kinds_of_reasons_are_counted() -> None:
    refusals = tuple(Refusal(f"n{i}", f"reason {'x' * (i + 1)}") for i in range(9))
    text = explanation(_report(PassReport("Fold", (), refusals)))
    assert text.count("refused at") == 4
    assert "and 5 more reasons" in text


def test_names_cannot_hold_terminal_commands_and_do_not_break_the_width() -> None:
    evil = "\x1b[2Jconv"
    decision = Decision("d" * 300, True, Figures(1, 1), Figures(1, 1))
    each = PassReport(evil, (evil, "y" * 300), (Refusal(evil, f"because {evil}"),), (decision,))
    text = explanation(_report(each))
    assert "\x1b" not in text
    assert text.count(r"\x1b[2J") >= 4
    assert max(map(len, text.splitlines())) <= COLUMNS + len(r"\x1b") * 3


def test_the_command_tells_it_in_100_columns(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(out), "--dry-run"]
    assert main([*arguments, "--explain"]) == 0
    told = capfd.readouterr().out.splitlines()
    assert max(map(len, told)) <= COLUMNS
    assert told[0].startswith("Reparameterization: 2 rounds, error ")
    assert "  fired at batch_norm" in told
    assert told[-1] == "onnx: every operator has a lowering"


def test_json_holds_every_place_under_fixed_names(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(out), "--dry-run", "--json"]
    assert main(arguments) == 0
    document = json.loads(capfd.readouterr().out)
    report = document["report"]
    assert list(document["forms"]) == ["onnx"]
    assert list(document["forms"]["onnx"]) == list(report)
    assert list(report) == ["passes", "rounds", "before", "after", "proof"]
    assert list(report["proof"]) == ["relative_error", "tolerance", "probes"]
    assert list(report["before"]) == [
        "ops", "parameters", "parameter_bytes", "buffer_bytes", "macs",
    ]  # fmt: skip
    fold = next(each for each in report["passes"] if each["name"] == "FoldAffineIntoProducer")
    assert fold == {
        "name": fold["name"], "rewrites": ["batch_norm"], "refusals": [], "decisions": [],
    }  # fmt: skip
    record = dataclasses.asdict(_merging(1))
    assert list(record["decisions"][1]) == ["node", "taken", "before", "after", "reason"]
    assert list(record["decisions"][1]["before"]) == ["macs", "bytes"]
