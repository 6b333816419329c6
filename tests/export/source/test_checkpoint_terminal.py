"""Names in checkpoints cannot command the terminal they are shown on."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import torch

from cnn_export.__main__ import main
from cnn_export.command_line.edge import run_command
from cnn_export.command_line.terminal import printable
from cnn_export.errors import CheckpointError
from cnn_export.job.display import show
from cnn_export.job.request import ExportResult

HOSTILE = "conv\x1b]0;owned\x07\x9b2J\u202e.weight"
ESCAPED = r"conv\x1b]0;owned\x07\x9b2J\u202e.weight"


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_a_tensor_s_name(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    torch.save({HOSTILE: torch.zeros(2)}, path)
    assert main([str(path), "--target", "onnx", "-o", str(tmp_path / "out"), *options]) == 4
    told = capsys.readouterr().err
    assert ESCAPED in told
    assert told == printable(told)
    assert ("Traceback" in told) == bool(options)


def test_the_benchmarks_edge(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise CheckpointError(f"no {HOSTILE}")

    assert run_command(command, "bench", []) == 4
    assert capsys.readouterr().err == f"bench: no {ESCAPED}\n"


def test_notes(capsys: pytest.CaptureFixture[str]) -> None:
    show(ExportResult(artifacts=(), report=None, notes=(HOSTILE,), refusals={}), explain=False)
    assert capsys.readouterr().err == f"note: {ESCAPED}\n"


@pytest.mark.parametrize("text", ["größer → ✓ 日本語", "two\n\tlines", ""])
def test_other_text_stays(text: str) -> None:
    assert printable(text) == text


def test_a_lone_surrogate_of_a_file_s_name() -> None:
    assert printable("net\udcff.pt") == r"net\udcff.pt"
