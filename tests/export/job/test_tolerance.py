"""``--tolerance``: an error that cannot be proven smaller is accepted, recorded, and shown so."""

from __future__ import annotations

import math
from pathlib import Path

import networks
import onnx
import pytest

from cnn_export import export
from cnn_export.__main__ import main
from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files
from cnn_export.errors import InputRefused, ParityError, UsageError
from cnn_export.job import display
from cnn_export.job.request import ExportResult
from cnn_export.manifest.manifest import read_manifest
from cnn_export.proof.parity import OutputParity, judge
from cnn_export.proof.tolerances import TOLERANCES, Tolerance

SHAPES = {"image": (1, 3, 13, 18)}
TOO_TIGHT = Tolerance(1e-12, 1e-12, 0.0, "what no float32 keeps")


@pytest.fixture
def _too_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every float32 artifact is off by more than its limit, by some 1e-7 of the RMS."""
    monkeypatch.setitem(TOLERANCES, ("onnx", "fp32"), TOO_TIGHT)


def exported(folder: Path, tolerance: float | None) -> ExportResult:
    network = networks.small_net()
    return export(network, "onnx", output=folder, shapes=SHAPES, tolerance=tolerance)


def embedded(path: Path) -> dict[str, str]:
    return {pair.key: pair.value for pair in onnx.load(path).metadata_props}


@pytest.mark.usefixtures("_too_tight")
def test_an_accepted_error_is_in_manifest_file_and_everything_shown(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = exported(out, 1e-4)
    artifact = result.artifact
    manifest = read_manifest(artifact.manifest_path)
    assert manifest.parity.accepted == 1e-4
    # A device may be twice as far off as was measured on that probe, not as far as anybody accepts.
    errors = [each.relative_error for each in manifest.parity.figures if each.probe == "uniform"]
    assert manifest.probe.tolerance == max(1e-12, 2 * max(errors)) < 1e-5
    assert all(figure.limit == 1e-12 for figure in manifest.parity.figures)
    assert embedded(artifact.path)["accepted"] == "tolerance=0.0001"
    display.show(result, explain=False)
    shown = capsys.readouterr()
    assert "0.0001 (accepted)" in shown.out
    assert "smallnet.onnx is not proven equal" in shown.err
    # What cnn-bench reads of it: a warning, and the results' record.
    ((again, found),) = proven_files([artifact.path])
    assert "smallnet.onnx is not proven equal" in capsys.readouterr().err
    record = artifact_record(again, found, "smallnet.onnx", "0" * 16)
    assert record.acceptance == "not proven: an error of up to 0.0001 of the RMS was accepted"
    assert not record.is_reference_of(record)


@pytest.mark.usefixtures("_too_tight")
def test_a_manifest_cannot_make_it_proven(out: Path) -> None:
    """The file itself says that its error was accepted."""
    artifact = exported(out, 1e-4).artifact
    text = artifact.manifest_path.read_text("utf-8")
    artifact.manifest_path.write_text(text.replace('"accepted": 0.0001', '"accepted": 0.001'))
    with pytest.raises(InputRefused, match=r"accepted 'tolerance=0\.001', the file itself"):
        proven_files([artifact.path])


@pytest.mark.usefixtures("_too_tight")
@pytest.mark.parametrize("tolerance", [None, 1e-11])
def test_without_or_beyond_it_the_refusal_gives_the_figures(
    out: Path, tolerance: float | None
) -> None:
    with pytest.raises(ParityError, match=r"is off by .* \(limit 1e-12\), torch's own"):
        exported(out, tolerance)
    assert not list(out.iterdir())


def test_what_is_proven_is_not_touched_by_it(out: Path) -> None:
    asked, plain = exported(out / "asked", 1e-3), exported(out / "plain", None)
    assert asked.artifact.manifest == plain.artifact.manifest
    assert asked.artifact.path.read_bytes() == plain.artifact.path.read_bytes()
    assert asked.notes == plain.notes == ()


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1e-3, 0.0, 1e-6, 0.3])
def test_no_error_to_accept(tolerance: float) -> None:
    with pytest.raises(UsageError, match=r"^--tolerance \S+ is no error to accept"):
        exported(Path("nowhere"), tolerance)


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
def test_integers_stay_equal(precision: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["net.pt", "-t", "onnx", "--precision", precision, "--tolerance", "1e-3"]
    data = "--calibration" if precision == "int8" else "--evaluation"
    assert main([*given, data, "synthetic"]) == UsageError.exit_code
    assert "is proven equal to its integers, or not written" in capsys.readouterr().err


def test_whole_numbers_and_nan_are_never_accepted() -> None:
    figure = OutputParity("normal", "classes", 1.0, 1e-3, 1.0, 0.0, differing=1, elements=9)
    with pytest.raises(ParityError, match="differs in 1 of 9 elements"):
        judge([figure], "onnx", accepted=0.1)
    nan = OutputParity("normal", "scores", math.nan, math.nan, 1.0, 1e-5)
    with pytest.raises(ParityError, match="is off by nan"):
        judge([nan], "onnx", accepted=0.1)


@pytest.mark.parametrize(("error", "offered"), [(9e-4, True), (2e-3, False)])
def test_only_what_may_be_rounding_is_offered(error: float, offered: bool) -> None:
    """Of a wrong artifact nobody should be told how to get it all the same."""
    figure = OutputParity("normal", "scores", error, error, 1.0, 1e-5)
    with pytest.raises(ParityError) as refused:
        judge([figure], "onnx")
    assert ("--tolerance" in str(refused.value)) is offered


def test_a_dry_run_has_no_error_to_accept() -> None:
    network = networks.SmallNet().eval()
    with pytest.raises(UsageError, match="--dry-run measures no error"):
        export(network, "onnx", shapes=SHAPES, tolerance=1e-3, dry_run=True)
