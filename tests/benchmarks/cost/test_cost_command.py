"""``cnn-bench cost`` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from cost_networks import read_cost, save_onnx

from cnn_export.benchmarks.commands.cost import command
from cnn_export.command_line.edge import run_command

MACS = 15 * 22 * 3 * 4
INPUT, WEIGHT, OUTPUT = 4 * 15 * 22 * 3, 4 * 12, 4 * 15 * 22 * 4


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A 1x1 convolution and a ReLU."""
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["c"], name="first"),
        onnx.helper.make_node("Relu", ["c"], ["y"], name="second"),
    ]
    weight = {"w": np.ones((4, 3, 1, 1), np.float32)}
    shapes = {"x": ["batch", 3, 15, 22]}, {"y": ["batch", 4, 15, 22]}
    return save_onnx(tmp_path / "model.onnx", nodes, *shapes, weight)


def run(*arguments: str | Path) -> int:
    return run_command(command, "cnn-bench cost", [str(each) for each in arguments])


def test_json_names_the_totals(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, "--json") == 0
    (artifact,) = json.loads(capsys.readouterr().out)["artifacts"]
    assert artifact["macs"] == MACS
    assert artifact["mac_bytes"] == INPUT + WEIGHT + OUTPUT + 2 * OUTPUT
    assert artifact["weight_bytes"] == WEIGHT
    assert artifact["peak_activation_bytes"] == 2 * OUTPUT
    assert (artifact["batch"], artifact["format"]) == (1, "onnx")
    assert "ops" not in artifact


def test_json_per_op_in_the_order_asked_for(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "--json", "--per-op", "--sort", "mac_bytes") == 0
    (artifact,) = json.loads(capsys.readouterr().out)["artifacts"]
    second, first = artifact["ops"]
    assert [second["name"], first["name"]] == ["second", "first"]
    assert first["input_bytes"] == INPUT
    assert first["weight_bytes"] == WEIGHT
    assert first["output_bytes"] == OUTPUT
    assert first["arithmetic_intensity"] == MACS / (INPUT + WEIGHT + OUTPUT)
    assert second["macs"] == 0


def test_files_stand_side_by_side(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = model.with_name("other.onnx")
    other.write_bytes(model.read_bytes())
    assert run(model, other, "--per-op") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith(("model.onnx ", "other.onnx "))]
    assert len(rows) == 2
    assert rows[0][1:] == rows[1][1:] == ["onnx", "1", "2", "0.00", "0.02", "0.00", "0.01", "0.20"]
    assert sum(line.startswith("first ") for line in lines) == 2


def test_roofline_bounds_every_operator_and_says_whose(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, "--roofline", "--json", "--per-op") == 0
    document = json.loads(capsys.readouterr().out)
    peaks, (artifact,) = document["roofline"], document["artifacts"]
    assert (peaks["device"], peaks["threads"]) == ("host", 1)
    bounds = [
        1e3 * max(op["macs"] / peaks["macs_per_s"], op["mac_bytes"] / peaks["bytes_per_s"])
        for op in artifact["ops"]
    ]
    assert [op["lower_bound_ms"] for op in artifact["ops"]] == pytest.approx(bounds)
    assert artifact["lower_bound_ms"] == pytest.approx(sum(bounds))


def test_nodes_of_one_name_stay_apart(tmp_path: Path) -> None:
    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["a"], name="same"),
        onnx.helper.make_node("Exp", ["a"], ["b"], name="same"),
        onnx.helper.make_node("Sharpen", ["b"], ["y"], domain="com.acme"),
    ]
    path = save_onnx(tmp_path / "m.onnx", nodes, {"x": [1, 6]}, {"y": [1, 6]})
    names = [op.name for op in read_cost(path).ops]
    assert names == ["same", "same #1", "com.acme.Sharpen_2"]


def test_unknown_operator_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = onnx.helper.make_node("Sharpen", ["x"], ["y"], domain="com.acme")
    path = save_onnx(tmp_path / "m.onnx", [node], {"x": [1, 6]}, {"y": [1, 6]})
    assert run(path) == 0
    assert "macs of com.acme.Sharpen are not known" in capsys.readouterr().out
    assert run(path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["artifacts"][0]["macs"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--sort", "mac_bytes"], 2, "--per-op"),
        (["--threads", "2"], 2, "--roofline"),
        (["--sort", "bytes", "--per-op"], 2, "mac_bytes"),
        (["missing.onnx"], 4, "does not exist"),
        (["model.pt"], 4, ".tflite, .onnx, .pte, .mlpackage"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], code: int, words: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(model, *arguments) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_no_file_at_all_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "FILES" in capsys.readouterr().err


def test_names_of_the_file_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="\x1b[31mred[bold]")
    path = save_onnx(tmp_path / "m.onnx", [node], {"x": [1, 6]}, {"y": [1, 6]})
    assert run(path, "--per-op") == 0
    out = capsys.readouterr().out
    assert "\\x1b[31mred[bold]" in out
    assert "\x1b" not in out


def test_reading_loads_no_torch(model: Path) -> None:
    code = (
        "import importlib, sys; from pathlib import Path;"
        "from cnn_export.artifact_files import formats;"
        "from cnn_export.benchmarks.cost.reading import read_costs;"
        f"read_costs([Path({str(model)!r})]);"
        "modules = [importlib.import_module(formats.reader_module(s)) for s in formats.SUFFIXES];"
        "[module.load_vendor() for module in modules];"
        "print([m for m in ('torch', 'scipy', 'coremltools', 'executorch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
