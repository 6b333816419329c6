"""Every kind of damage, in every format: exit 3, and nothing in the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import fx

from cnn_export.__main__ import main
from cnn_export.job import pipeline
from cnn_export.program.program import Program
from cnn_export.targets import TARGETS, load_target
from cnn_export.targets.options import TargetOptions

PARITY_FAILED = 3
ARGUMENTS = ["--model", "networks:SmallNet", "--input", "image=1x3x13x18", "--quiet"]

Damage = Callable[[fx.GraphModule], None]


def _convolution(graph_module: fx.GraphModule, position: int) -> fx.Node:
    nodes = graph_module.graph.find_nodes(op="call_function", target=torch.ops.aten.conv2d.default)
    return nodes[position]


def _weight(graph_module: fx.GraphModule, position: int) -> torch.Tensor:
    node = _convolution(graph_module, position).args[1]
    assert isinstance(node, fx.Node)
    return graph_module.get_parameter(str(node.target)).data


def damaged_weight(graph_module: fx.GraphModule) -> None:
    _weight(graph_module, 0)[2, 1, 0, 1] += 0.05


def swapped_channel(graph_module: fx.GraphModule) -> None:
    weight = _weight(graph_module, 0)
    weight.copy_(weight[:, [1, 0, 2]].clone())


def wrong_padding(graph_module: fx.GraphModule) -> None:
    """Same shape, other border: two rows above and none below."""
    node = _convolution(graph_module, 0)
    source = node.args[0]
    with graph_module.graph.inserting_before(node):
        padded = graph_module.graph.call_function(
            torch.ops.aten.constant_pad_nd.default, (source, [1, 1, 2, 0], 0.0)
        )
    arguments = list(node.args)
    arguments[0], arguments[4] = padded, [0, 0]
    node.args = tuple(arguments)
    graph_module.recompile()


def missing_output(graph_module: fx.GraphModule) -> None:
    output = graph_module.graph.output_node()
    output.args = (output.args[0][:1],)
    graph_module.recompile()


def swapped_outputs(graph_module: fx.GraphModule) -> None:
    output = graph_module.graph.output_node()
    output.args = (tuple(reversed(output.args[0])),)
    graph_module.recompile()


DAMAGES = [damaged_weight, swapped_channel, wrong_padding, missing_output, swapped_outputs]


class Damaging:
    """A real target whose converter gets a damaged program."""

    def __init__(self, name: str, damage: Damage) -> None:
        self._target = load_target(name)
        self._damage = damage

    def __getattr__(self, name: str) -> object:
        return getattr(self._target, name)

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        self._damage(program.graph_module)
        program.__dict__.pop("exported", None)
        outputs = program.outputs[: len(program.graph_module.graph.output_node().args[0])]
        damaged = Program(
            program.graph_module,
            program.inputs,
            outputs,
            program.example_inputs,
            program.dynamic_batch,
        )
        self._target.export(damaged, options, path)


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_nothing_written(
    target: str,
    damage: Damage,
    small_checkpoint: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pipeline, "load_target", lambda name: Damaging(name, damage))
    code = main([str(small_checkpoint), "-t", target, "-o", str(out), *ARGUMENTS])
    message = capfd.readouterr().err
    assert code == PARITY_FAILED, message
    assert message.count("\n") == 1
    assert "nothing was written" in message
    assert list(out.iterdir()) == []


def test_an_existing_artifact_survives_a_failure(
    small_checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [str(small_checkpoint), "-t", "onnx", "-o", str(out), *ARGUMENTS]
    assert main(arguments) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(pipeline, "load_target", lambda name: Damaging(name, damaged_weight))
    assert main(arguments) == PARITY_FAILED
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_one_bad_format_of_several_leaves_nothing(
    small_checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> object:
        return Damaging(name, swapped_channel) if name == "tflite" else load_target(name)

    monkeypatch.setattr(pipeline, "load_target", load)
    arguments = [str(small_checkpoint), "-t", "onnx", "-t", "tflite", "-o", str(out), *ARGUMENTS]
    assert main(arguments) == PARITY_FAILED
    assert list(out.iterdir()) == []
