"""Each target's own passes: what they make of a partial shortcut, what is shared, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.errors import ParityError
from cnn_export.job import legalization
from cnn_export.job.display import as_json
from cnn_export.job.explain import form_explanations
from cnn_export.job.legalization import spell
from cnn_export.manifest.manifest import Manifest
from cnn_export.program.program import Program, capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.pass_pipeline import OrderedPass
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.targets import TARGETS, forms, load_target

FORMS = {name: load_target(name).form for name in TARGETS}


class _Shortcut(nn.Module):
    """A block that adds half of its input's channels, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.stem, self.head = nn.Conv2d(3, 16, 3, stride=2), nn.Conv2d(16, 4, 1)
        self.block = nn.Conv2d(16, 16, 3, padding=1, groups=16)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem(image)
        y = self.block(x)
        y[:, :8] += x[:, :8]
        return self.head(torch.relu(y))


def _program(size: int = 16, module: nn.Module | None = None) -> Program:
    program = capture((module or _Shortcut()).eval(), (torch.randn(1, 3, size, size),))
    reparameterize_graph(program.graph_module)
    return program


def _operators(program: Program) -> list[str]:
    return [name for node in program.graph_module.graph.nodes if (name := operator_name(node))]


def test_the_shared_graph_keeps_the_canonical_sum() -> None:
    program = _program()
    assert _operators(program).count("cat") == 1
    image = program.example_inputs[0]
    expected = program.graph_module(image)[0]
    for formed in spell(program, FORMS).values():
        torch.testing.assert_close(formed.program.graph_module(image)[0], expected)
    assert _operators(program).count("cat") == 1


def test_small_maps_are_masked_for_onnx_and_carried_for_xnnpack() -> None:
    made = {name: _operators(each.program) for name, each in spell(_program(700), FORMS).items()}
    assert all("cat" not in operators for operators in made.values())
    # 16 channels of 349x349 are 7.4 MiB: no cache holds them.
    assert ("mul" in made["coreml"], "mul" in made["onnx"]) == (True, False)
    made = {name: _operators(each.program) for name, each in spell(_program(16), FORMS).items()}
    assert made["onnx"] == made["coreml"] == ["conv2d", "conv2d", "mul", "add", "relu", "conv2d"]


def test_targets_that_want_the_same_share_it() -> None:
    made = spell(_program(700), FORMS)
    assert made["tflite"].program is made["executorch"].program
    assert made["tflite"].report is made["executorch"].report
    assert made["onnx"].program is not made["tflite"].program


def test_the_original_is_run_once_for_all_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    make = legalization.make_probes

    def counted(graph_module: Any) -> Any:
        calls.append(graph_module)
        return make(graph_module)

    monkeypatch.setattr(legalization, "make_probes", counted)
    made = spell(_program(700), FORMS)
    assert len({id(each.program) for each in made.values()}) == 3
    assert len(calls) == 1
    assert all(each.report is not None and each.report.proof is not None for each in made.values())


def test_a_network_without_anything_to_respell_stays_one_program() -> None:
    program = _program(16, nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    made = spell(program, FORMS)
    assert all(each.program is program for each in made.values())
    reports = {name: each.report for name, each in made.items() if each.report is not None}
    told = " ".join(form_explanations(reports))
    assert told.count("nothing to respell") == len({id(each) for each in reports.values()}) == 3
    assert "Form for tflite, executorch: nothing to respell" in told


class _Wrong(ProgramPass):
    """Drop the last operator, once."""

    def rewrite(self, graph_module: Any) -> PassResult:
        output = graph_module.graph.output_node()
        (last,) = output.args[0]
        if operator_name(last) != "relu":
            return PassResult(self.name)
        output.args = ((last.args[0],),)
        return PassResult(self.name, (last.name,))


def test_a_form_that_changes_the_function_is_refused(
    monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    target = type(load_target("onnx"))
    monkeypatch.setattr(target, "form", (OrderedPass(_Wrong(), "to fail"),))
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with pytest.raises(ParityError, match="_Wrong changed what the network computes"):
        export(module, ["onnx"], output=out, example_inputs=[torch.randn(1, 3, 9, 9)])
    assert list(out.iterdir()) == []


def test_an_export_is_in_its_form_and_says_so(out: Path) -> None:
    image = torch.randn(1, 3, 16, 16)
    result = export(_Shortcut().eval(), ["onnx", "tflite"], output=out, example_inputs=[image])
    told = {each.manifest.target: _fired(each.manifest) for each in result.artifacts}
    assert told["onnx"]["MaskPartialShortcuts"] == 1
    assert "MaskPartialShortcuts" not in told["tflite"]
    document = json.loads(as_json(result))
    assert list(document["forms"]) == ["onnx", "tflite"]
    names = [each["name"] for each in document["forms"]["onnx"]["passes"]]
    assert names == [entry.program_pass.name for entry in forms.ONNX]
    import onnx

    nodes = [node.op_type for node in onnx.load(str(result.artifacts[0].path)).graph.node]
    assert (nodes.count("Mul"), nodes.count("Concat"), nodes.count("Slice")) == (1, 0, 0)


def _fired(manifest: Manifest) -> dict[str, int]:
    return {each.name: each.rewrites for each in manifest.passes}


def test_without_the_stage_there_are_no_forms(out: Path) -> None:
    options: dict[str, Any] = {"output": out, "example_inputs": [torch.randn(1, 3, 16, 16)]}
    result = export(_Shortcut().eval(), ["onnx"], reparam=False, **options)
    assert result.forms == {}
    assert result.artifact.manifest.passes == []


def test_every_entry_of_a_form_has_a_reason() -> None:
    for form in FORMS.values():
        assert all(len(entry.reason.split()) > 4 for entry in form)
