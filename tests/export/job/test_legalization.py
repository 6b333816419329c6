"""Each target's own passes: what they make of a partial shortcut, what is shared, what is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export import export
from cnn_export.errors import InputRefused, OperatorRefused, ParityError
from cnn_export.job import legalization
from cnn_export.job.display import as_json, show
from cnn_export.job.explain import legalization_explanations
from cnn_export.job.legalization import legalize
from cnn_export.manifest.manifest import Manifest
from cnn_export.program.program import Program, capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.targets import TARGETS, legalizations, load_target
from cnn_export.targets.legalizations import Legalization, LegalizationPass

LEGALIZATIONS = {name: load_target(name).legalization for name in TARGETS}


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
    for legalized in legalize(program, LEGALIZATIONS).values():
        torch.testing.assert_close(legalized.program.graph_module(image)[0], expected)
    assert _operators(program).count("cat") == 1


def test_small_maps_are_masked_for_onnx_and_carried_for_xnnpack() -> None:
    made = {
        name: _operators(each.program)
        for name, each in legalize(_program(700), LEGALIZATIONS).items()
    }
    assert all("cat" not in operators for operators in made.values())
    # 16 channels of 349x349 are 7.4 MiB: no cache holds them.
    assert ("mul" in made["coreml"], "mul" in made["onnx"]) == (True, False)
    made = {
        name: _operators(each.program)
        for name, each in legalize(_program(16), LEGALIZATIONS).items()
    }
    assert made["onnx"] == made["coreml"] == ["conv2d", "conv2d", "mul", "add", "relu", "conv2d"]


def test_targets_that_want_the_same_share_it() -> None:
    made = legalize(_program(700), {**LEGALIZATIONS, "another": load_target("tflite").legalization})
    assert made["tflite"].program is made["another"].program
    assert made["tflite"].report is made["another"].report
    assert made["onnx"].program is not made["tflite"].program


def test_the_original_is_run_once_for_all_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    make = legalization.make_probes

    def counted(graph_module: Any) -> Any:
        calls.append(graph_module)
        return make(graph_module)

    monkeypatch.setattr(legalization, "make_probes", counted)
    made = legalize(_program(700), LEGALIZATIONS)
    assert len({id(each.program) for each in made.values()}) == len(made) == 4
    assert len(calls) == 1
    assert all(each.report is not None and each.report.proof is not None for each in made.values())


def test_a_network_without_anything_to_change_stays_one_program() -> None:
    program = _program(16, nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    made = legalize(program, LEGALIZATIONS)
    assert all(each.program is program for each in made.values())
    reports = {name: each.report for name, each in made.items() if each.report is not None}
    told = legalization_explanations({**reports, "another": reports["tflite"]})
    assert told == [
        "Legalization for onnx: nothing to change",
        "Legalization for tflite, another: nothing to change",
        "Legalization for coreml: nothing to change",
        "Legalization for executorch: nothing to change",
    ]


class _Wrong(ProgramPass):
    """Drop the last operator, once."""

    def rewrite(self, graph_module: Any) -> PassResult:
        output = graph_module.graph.output_node()
        (last,) = output.args[0]
        if operator_name(last) != "relu":
            return PassResult(self.name)
        output.args = ((last.args[0],),)
        return PassResult(self.name, (last.name,))


def test_a_legalization_that_changes_the_function_is_refused(
    monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    target = type(load_target("onnx"))
    wrong = Legalization((LegalizationPass(_Wrong(), "to fail"),))
    monkeypatch.setattr(target, "legalization", wrong)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    with pytest.raises(ParityError, match="_Wrong changed what the network computes"):
        export(module, ["onnx"], output=out, example_inputs=[torch.randn(1, 3, 9, 9)])
    assert list(out.iterdir()) == []


def test_an_export_is_legalized_and_says_so(out: Path) -> None:
    image = torch.randn(1, 3, 16, 16)
    result = export(_Shortcut().eval(), ["onnx", "tflite"], output=out, example_inputs=[image])
    told = {each.manifest.target: _fired(each.manifest) for each in result.artifacts}
    assert told["onnx"]["MaskPartialShortcuts"] == 1
    assert "MaskPartialShortcuts" not in told["tflite"]
    document = json.loads(as_json(result))
    assert list(document["forms"]) == ["onnx", "tflite"]
    names = [each["name"] for each in document["forms"]["onnx"]["passes"]]
    assert names == [entry.program_pass.name for entry in legalizations.ONNX.passes]
    import onnx

    nodes = [node.op_type for node in onnx.load(str(result.artifacts[0].path)).graph.node]
    assert (nodes.count("Mul"), nodes.count("Concat"), nodes.count("Slice")) == (1, 0, 0)


def _fired(manifest: Manifest) -> dict[str, int]:
    return {each.name: each.rewrites for each in manifest.passes}


def test_without_the_stage_only_what_converters_need_runs(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = nn.Sequential(_Shortcut(), nn.Hardsigmoid()).eval()
    options: dict[str, Any] = {"output": out, "example_inputs": [torch.randn(1, 3, 16, 16)]}
    result = export(module, ["onnx", "executorch"], reparam=False, **options)
    assert list(result.forms) == ["executorch"]
    assert result.forms["executorch"].proof is None
    told = {each.manifest.target: _fired(each.manifest) for each in result.artifacts}
    fired = {"CropsAsSlices": 0, "ExplicitStrides": 0, "FloatHardSigmoid": 1, "ImagePRelus": 0}
    assert told == {"onnx": {}, "executorch": fired}
    show(result, explain=True)
    shown = capsys.readouterr().out
    assert "reparameterization: switched off\n" in shown
    assert re.search(r"Legalization for executorch: \d rounds?, not proven", shown)


def test_half_precision_is_told_and_proven_with_the_rest(out: Path) -> None:
    options: dict[str, Any] = {"output": out, "example_inputs": [torch.randn(1, 3, 16, 16)]}
    result = export(_Shortcut().eval(), ["onnx"], precision="fp16", **options)
    assert _fired(result.artifact.manifest)["HalfPrecision"] > 0
    report = result.forms["onnx"]
    assert report.passes[-1].name == "HalfPrecision"
    assert report.proof is not None
    assert report.proof.probes == 3
    (told,) = legalization_explanations(result.forms)
    assert "in float64, but for rounding to float16 (limit" in told
    single = legalize(_program(), LEGALIZATIONS)["onnx"]
    assert single.report is not None
    assert "rounding" not in legalization_explanations({"onnx": single.report})[0]
    assert result.artifact.manifest.parameter_bytes == single.cost.parameter_bytes


def test_weights_beyond_float16_are_told_to_stay_float32() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.init.constant_(module[0].weight, 1e5)
    with pytest.raises(ParityError, match=r"^float16: .*not finite.*; use --precision fp32$"):
        legalize(_program(module=module), {"onnx": LEGALIZATIONS["onnx"]}, "fp16")


@pytest.mark.parametrize("reparam", [True, False])
def test_only_what_helps_is_advised(reparam: bool) -> None:
    class Failing(ProgramPass):
        def rewrite(self, graph_module: Any) -> PassResult:
            raise ValueError("no")

    failing = Legalization((LegalizationPass(Failing(), "to fail", always=True),))
    with pytest.raises(ParityError, match="Failing failed") as caught:
        legalize(_program(), {"onnx": failing}, reparam=reparam)
    assert ("--no-reparam" in str(caught.value)) is reparam


def test_a_refusal_while_partitions_are_told_names_the_file(
    monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    def damaged(self: Any, path: Path) -> Any:
        raise InputRefused("it is damaged")

    monkeypatch.setattr(type(load_target("onnx")), "partitions", damaged)
    module = nn.Sequential(nn.Conv2d(3, 4, 3)).eval()
    with pytest.raises(InputRefused, match=r"\.onnx: it is damaged"):
        export(module, ["onnx"], output=out, example_inputs=[torch.randn(1, 3, 9, 9)])


def test_what_a_required_pass_refuses_is_an_operator_with_its_line() -> None:
    class Grouped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(-1, 2, 3, 5, 5).sum(1)

    program = capture(Grouped().eval(), (torch.randn(1, 6, 5, 5),), dynamic_batch=True)
    made = legalize(program, LEGALIZATIONS)
    assert [name for name, each in made.items() if each.obstacles] == ["tflite"]
    with pytest.raises(OperatorRefused, match=r"reshape.*test_legalization.py.*use --batch N"):
        made["tflite"].refuse_obstacles()


def test_every_entry_of_a_legalization_has_a_reason() -> None:
    for each in LEGALIZATIONS.values():
        entries = [*each.passes, *([each.half] if each.half else [])]
        assert all(len(entry.reason.split()) > 4 for entry in entries)


@pytest.mark.parametrize("target", ["coreml", "executorch"])
@pytest.mark.parametrize("reparam", [True, False])
def test_pads_by_negative_widths_are_slices(target: str, reparam: bool, out: Path) -> None:
    class Cropped(nn.Module):
        """Pads one side of a strided convolution's input, and crops the other."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(nn.functional.pad(x, (3, -1, 0, 1)))

    image = torch.randn(1, 3, 8, 8)
    result = export(Cropped(), target, output=out, example_inputs=[image], reparam=reparam)
    assert result.artifact.manifest.partitions.outside == []
