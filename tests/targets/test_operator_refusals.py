"""What a converter or a runtime cannot take: exit 4 by operator and line, on a dry run as well."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from refused_twice import refused
from torch import nn
from torch.nn import functional as F

from cnn_export.__main__ import main
from cnn_export.errors import OperatorRefused
from cnn_export.program.program import Program, capture
from cnn_export.reparam.graph.operators import operator_name
from cnn_export.targets import load_target
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.diagnosis import plain
from cnn_export.targets.isolation import failing_operators
from cnn_export.targets.options import TargetOptions
from cnn_export.targets.trial import explained, opened

VENDOR_WORDS = ("mhlo", "STABLEHLO", "site-packages", "Traceback", "%", " at 0x")


class Transposed(nn.Module):
    """A transposed convolution of computed weights: TFLite gets those that are stored."""

    def __init__(self, **arguments: int) -> None:
        super().__init__()
        self.transposed = nn.ConvTranspose2d(4, 6, **arguments)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = torch.relu(image)
        weight, how = self.transposed.weight * y.mean(), self.transposed
        sizes = (how.stride, how.padding, how.output_padding, how.groups)
        return F.conv_transpose2d(y, weight, None, *sizes)  # the line that is named


def grouped() -> nn.Module:
    return Transposed(kernel_size=3, stride=2, padding=1, groups=2)


def padded() -> nn.Module:
    return Transposed(kernel_size=2, stride=2, padding=2)


class SpecialFunctions(nn.Module):
    """Operators that no mobile format has."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.special.i0(image) + torch.igamma(image.abs(), image.abs())


def overhanging() -> nn.Module:
    return nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)


def odd_row() -> nn.Module:
    return nn.Conv2d(4, 3, (2, 3), padding="same")


X = torch.randn(1, 4, 6, 7)
AS_TRACED = {"reparam": False}
REFUSED = {
    "padded": (padded, "tflite", "conv_transpose2d", {}),
    "determinant-coreml": (networks.Determinant, "coreml", "linalg_det", {}),
    "determinant-executorch": (networks.Determinant, "executorch", "linalg_det", {}),
    "igamma-onnx": (SpecialFunctions, "onnx", "igamma", {}),
    "igamma-tflite": (SpecialFunctions, "tflite", "igamma", {}),
    "overhanging": (overhanging, "coreml", "avg_pool2d.*without --no-reparam", AS_TRACED),
    "odd row": (odd_row, "coreml", "conv2d.*without --no-reparam", AS_TRACED),
}
"""Networks that these tests refuse: what makes it, for what, what is said, and the settings."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_run_and_a_dry_run_name_the_same_operator(name: str, out: Path) -> None:
    build, target, told, settings = REFUSED[name]
    example = torch.randn(1, 3, 9, 11) if build is networks.Determinant else X
    error = refused(build().eval(), target, out, example_inputs=(example,), **settings)
    assert isinstance(error, OperatorRefused)
    assert re.search(told, str(error))
    assert not any(word in str(error) for word in VENDOR_WORDS), str(error)
    if name == "padded":
        assert f"{__file__}:{_line('# the line that is ' + 'named')})" in error.reasons[0]


def _line(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_command_refuses_in_one_line(
    tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(grouped().eval(), (X,)), path)
    assert main([str(path), "-t", "tflite", "-o", str(out), "--quiet"]) == 4
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    assert "conv_transpose2d" in message
    assert not any(word in message for word in VENDOR_WORDS), message
    assert list(out.iterdir()) == []
    assert main([str(path), "-t", "tflite", "--dry-run", "--json"]) == 4
    (reason,) = json.loads(capfd.readouterr().out)["refusals"]["tflite"]
    assert reason in message


class Failing:
    """A target that takes all but ``special_i0``, and batch norms only beside another operator."""

    name, suffix = "failing", ".none"

    def __init__(self, listed: str) -> None:
        self.listed = listed

    def refusals(self, program: Program, options: TargetOptions) -> list[OpRefusal]:
        nodes = program.graph_module.graph.nodes
        return [
            OpRefusal(str(node.target), node.name, "not in the table")
            for node in nodes
            if operator_name(node) == self.listed
        ]

    def export(self, program: Program, options: TargetOptions, path: Path) -> None:
        kinds = {operator_name(node) for node in program.graph_module.graph.nodes} - {None, ""}
        if kinds == {"batch_norm"}:
            raise OperatorRefused("cannot lower it") from ValueError("a pass of its own")
        if "special_i0" in kinds:
            raise OperatorRefused("cannot lower it: Bessel") from RuntimeError("Bessel")

    def load(self, path: Path):
        return lambda inputs: inputs


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("hardswish", "special_i0.*: cannot lower it: Bessel"),  # the converter decomposes it
        ("special_i0", "no lowering for .*special_i0.*not in the table"),
    ],
)
def test_only_what_fails_as_the_network_does_is_named(listed: str, told: str) -> None:
    module = Bessel(nn.Hardswish(), nn.BatchNorm2d(4)).eval()
    program = capture(module, (X,))
    target: Any = Failing(listed)
    original = OperatorRefused("cannot lower it: Bessel")
    original.__cause__ = RuntimeError("Bessel")
    (reason,) = explained(original, target, program, TargetOptions()).reasons
    assert re.search(told, reason)
    named = OperatorRefused("cannot lower it", ["the one it names"])
    assert explained(named, target, program, TargetOptions()).reasons == ("the one it names",)


class Bessel(nn.Sequential):
    """Ends in a function that no format has."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.special.i0(super().forward(image))


def test_what_the_converter_leaves_out_is_no_operator_without_a_lowering() -> None:
    """Decomposing a change of dtype adds a check of it, which is not what TFLite lacks."""

    class Counted(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image + torch.arange(image.shape[-1]).to(image.dtype)

    program = capture(Counted().eval(), (X,))
    assert load_target("tflite").refusals(program, TargetOptions()) == []


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "executorch"])
def test_no_operator_of_a_good_network_fails_alone(target: str, tmp_path: Path) -> None:
    chosen = load_target(target)
    network = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Hardswish(), nn.Flatten())
    program = capture(network, (X,))

    def attempt(single) -> str | None:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}{chosen.suffix}"
        chosen.export(single, TargetOptions(), path)
        named = zip(single.inputs, single.example_inputs, strict=True)
        opened(chosen, path)({spec.name: tensor.numpy() for spec, tensor in named})
        return None

    assert failing_operators(program, attempt) == []
    assert len(list(tmp_path.iterdir())) == 4


def test_each_kind_is_tried_once_and_sizes_last() -> None:
    body = nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU(), nn.Conv2d(3, 5, 1), nn.ReLU())
    program = capture(body, (X,))
    tried: list[str] = []

    def attempt(single) -> str | None:
        outputs = single.outputs[0].shape
        nodes = single.graph_module.graph.nodes
        kind = next(operator_name(node) for node in nodes if node.op == "call_function")
        tried.append(kind)
        return "no" if outputs[1] == 5 and kind == "conv2d" else None

    (refusal,) = failing_operators(program, attempt)
    assert (refusal.node, refusal.reason) == ("conv2d_1", "no")
    assert tried == ["relu", "conv2d", "relu", "conv2d", "relu"]


def test_no_operator_is_blamed_where_nothing_works() -> None:
    program = capture(nn.Sequential(nn.Conv2d(4, 3, 1), nn.ReLU()), (X,))
    assert failing_operators(program, lambda _: "broken") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no kernel for Foo\nmore", ": no kernel for Foo"),
        ("", ""),
        ("x" * 300, ""),
        ("failed to legalize operation 'mhlo.convolution'", ""),
        ("Didn't find op for builtin opcode 'STABLEHLO_CONVOLUTION'", ""),
        ("/usr/lib/python3/site-packages/a.py:3: error", ""),
        ('%61 = "op"(%55)', ""),
    ],
)
def test_a_vendors_words_are_shown_where_they_are_fit(text: str, shown: str) -> None:
    assert plain(RuntimeError(text)) == shown
