"""What reaches stdout and stderr: of vendors nothing, of the job what was asked for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from command_checks import REFUSED, SMALL, refusal

from cnn_export.__main__ import main
from cnn_export.job.quiet import VendorLog, quiet
from cnn_export.manifest.manifest import Manifest

NOISY_NETWORK = """
import os
import sys
import warnings
import networks

print("imported")


class Noisy(networks.SmallNet):
    def forward(self, image):
        print("a line")
        sys.stderr.write("another line")
        os.write(1, b"from below")
        os.write(2, b"from below")
        warnings.warn("take care")
        return super().forward(image)
"""


def make_noise() -> None:
    sys.stdout.write("one ")
    sys.stderr.write("two ")
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(1, b"three ")
    os.write(2, b"four ")
    subprocess.run([sys.executable, "-c", "print('five')"], check=True)


def test_nothing_gets_through_and_everything_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    log = VendorLog()
    with quiet(log), warnings.catch_warnings():
        make_noise()
    assert capfd.readouterr() == ("", "")
    assert log.text.split() == ["one", "two", "three", "four", "five"]


def _fail_noisily(log: VendorLog, error: BaseException) -> None:
    with quiet(log):
        make_noise()
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_the_streams_are_back_after_an_error(
    error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    log = VendorLog()
    with pytest.raises(type(error)):
        _fail_noisily(log, error)
    assert "three" in log.text
    make_noise()
    captured = capfd.readouterr()
    assert captured.out.split() == ["one", "three", "five"]
    assert captured.err.split() == ["two", "four"]


def test_it_nests_and_logs_stay_apart(capfd: pytest.CaptureFixture[str]) -> None:
    outer, inner = VendorLog(), VendorLog()
    with quiet(outer):
        os.write(1, b"before ")
        with quiet(inner):
            os.write(2, b"inside ")
        os.write(2, b"after ")
    assert capfd.readouterr() == ("", "")
    assert (outer.text, inner.text) == ("before after ", "inside ")


def test_no_descriptor_is_left_open() -> None:
    def next_descriptor() -> int:
        descriptor = os.dup(1)
        os.close(descriptor)
        return descriptor

    before = next_descriptor()
    for _ in range(20):
        with quiet():
            os.write(1, b"noise")
    assert next_descriptor() == before


def test_json_is_one_document_and_nothing_else(
    small_checkpoint: Path,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also when the network itself prints."""
    (tmp_path / "noisy_network.py").write_text(NOISY_NETWORK)
    monkeypatch.chdir(tmp_path)
    model = ["--model", "noisy_network:Noisy", "--input", "image=1x3x13x18"]
    assert main([str(small_checkpoint), "-t", "onnx", *model, "-o", str(out), "--json"]) == 0
    captured = capfd.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    (artifact,) = document["artifacts"]
    assert artifact["path"] == str(out / "small.onnx")
    on_disk = json.loads(Path(artifact["manifest_path"]).read_text())
    assert artifact["manifest"] == on_disk
    assert Manifest.model_validate(on_disk).source.model == "noisy_network:Noisy"
    assert {p["name"] for p in document["report"]["passes"]} >= {"FoldAffineIntoProducer"}
    assert document["refusals"] == {}


def test_json_of_a_failure_is_one_line_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capfd, REFUSED, tmp_path / "none.pt", "-t", "onnx", "--json")
    assert "does not exist" in message


def test_quiet_prints_nothing(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(out), "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert (out / "small.onnx").is_file()


@pytest.mark.parametrize("folder", ["plain", "runs[v1]", "größe", "a b"])
def test_the_table_shows_the_file_as_it_is_called(
    folder: str, small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = out / folder
    assert main([str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(output)]) == 0
    captured = capfd.readouterr()
    header, row = captured.out.splitlines()
    assert header.split()[:2] == ["target", "file"]
    assert str(output / "small.onnx") in row
    assert captured.err == ""


def test_explain_shows_passes_and_costs(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(out), "--explain"]
    assert main(arguments) == 0
    lines = capfd.readouterr().out.splitlines()
    fold = next(line.split() for line in lines if line.startswith("FoldAffineIntoProducer"))
    assert fold[1:3] == ["1", "0"]  # the network has one batch normalization
    assert any(line.startswith("MACs  ") for line in lines)
    assert main([*arguments, "--no-reparam"]) == 0
    assert "reparameterization: switched off" in capfd.readouterr().out


def test_dry_run_writes_nothing(
    small_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new"
    arguments = [str(small_checkpoint), "-t", "onnx", "-t", "executorch", *SMALL, "--dry-run"]
    assert main([*arguments, "-o", str(output)]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        "onnx: every operator has a lowering",
        "executorch: every operator has a lowering",
    ]
    assert not output.exists()


def test_dry_run_reports_what_has_no_lowering(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import networks
    import torch

    path = tmp_path / "net.pt"
    torch.save(networks.Determinant().state_dict(), path)
    model = ["--model", "networks:Determinant", "--input", "image=1x3x9x11"]
    before = sorted(tmp_path.iterdir())
    assert main([str(path), "-t", "executorch", *model, "--dry-run", "--json"]) == 4
    document = json.loads(capfd.readouterr().out)
    (refused,) = document["refusals"]["executorch"]
    assert "aten._linalg_det" in refused
    assert "networks.py:" in refused
    assert document["artifacts"] == []
    assert sorted(tmp_path.iterdir()) == before


def test_debug_adds_the_trace_before_the_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none.pt"), "-t", "onnx", "--debug"]) == REFUSED
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("cnn-export: ")


def test_a_terminal_without_unicode_fails_no_job(
    small_checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="ascii"))
    arguments = [str(small_checkpoint), "-t", "onnx", *SMALL, "-o", str(out / "größe")]
    assert main([*arguments, "--explain"]) == 0
    sys.stdout.flush()
    assert rb"gr\xf6\xdfe" in content.getvalue()
