"""What a converter or a runtime cannot take: exit 4 by operator and line, on a dry run as well."""

from __future__ import annotations

import json
from pathlib import Path

import networks
import pytest
import torch
from torch import nn

import cnn_export
from cnn_export.__main__ import main
from cnn_export.program import capture
from cnn_export.reparam.operators import operator_name
from cnn_export.targets import load_target
from cnn_export.targets.base import TargetOptions
from cnn_export.targets.diagnosis import plain
from cnn_export.targets.isolation import failing_operators
from cnn_export.targets.trial import opened

X = torch.randn(1, 3, 6, 7)
VENDOR_WORDS = ("mhlo", "STABLEHLO", "site-packages", "Traceback", "%", " at 0x")


class Transposed(nn.Module):
    """A transposed convolution between two convolutions."""

    def __init__(self, **arguments: int) -> None:
        super().__init__()
        self.before = nn.Conv2d(3, 4, 1)
        self.transposed = nn.ConvTranspose2d(4, 6, **arguments)
        self.after = nn.Conv2d(6, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.before(image))
        y = self.transposed(y)  # the line that is named
        return self.after(y)


def grouped() -> nn.Module:
    return Transposed(kernel_size=3, stride=2, padding=1, groups=2)


def padded() -> nn.Module:
    return Transposed(kernel_size=2, stride=2, padding=2)


class SpecialFunctions(nn.Module):
    """Operators that no mobile format has."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.special.i0(image) + torch.igamma(image.abs(), image.abs())


REFUSED = {
    "grouped": (grouped, "tflite", "conv_transpose2d", X),
    "padded": (padded, "tflite", "conv_transpose2d", X),
    **{
        f"determinant-{target}": (
            networks.Determinant,
            target,
            "linalg_det",
            torch.randn(1, 3, 9, 11),
        )
        for target in ("coreml", "executorch")
    },
    **{
        f"igamma-{target}": (SpecialFunctions, target, "igamma", X) for target in ("onnx", "tflite")
    },
}
"""Networks that these tests refuse: what makes it, for what, and the operator to be named."""


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_run_and_a_dry_run_name_the_same_operator(
    name: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build, target, operator, example = REFUSED[name]
    torch.manual_seed(0)
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(build().eval(), (example,)), path)
    assert main([str(path), "-t", target, "-o", str(out), "--quiet"]) == 4
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    assert operator in message
    assert not any(word in message for word in VENDOR_WORDS), message
    assert list(out.iterdir()) == []
    assert main([str(path), "-t", target, "--dry-run", "--json"]) == 4
    reasons = json.loads(capfd.readouterr().out)["refusals"][target]
    assert reasons
    for reason in reasons:
        assert reason in message


def test_the_users_own_line_is_named(out: Path) -> None:
    line = next(
        number
        for number, text in enumerate(Path(__file__).read_text().splitlines(), 1)
        if "# the line that is named" in text
    )
    with pytest.raises(cnn_export.errors.OperatorRefused) as caught:
        cnn_export.export(padded(), "tflite", example_inputs=(X,), output=out)
    (reason,) = caught.value.reasons
    assert "conv_transpose2d" in reason
    assert f"{__file__}:{line})" in reason


@pytest.mark.parametrize("target", ["onnx", "tflite", "coreml", "executorch"])
def test_no_operator_of_a_good_network_fails_alone(target: str, tmp_path: Path) -> None:
    chosen = load_target(target)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Flatten())
    program = capture(network, (X,))

    def attempt(single) -> str | None:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}{chosen.suffix}"
        chosen.export(single, TargetOptions(), path)
        named = zip(single.inputs, single.example_inputs, strict=True)
        opened(chosen, path)({spec.name: tensor.numpy() for spec, tensor in named})
        return None

    assert failing_operators(program, attempt) == []
    assert len(list(tmp_path.iterdir())) == 7


def test_each_kind_is_tried_once_and_sizes_last() -> None:
    body = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 5, 1), nn.ReLU())
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
    assert tried == ["relu", "conv2d", "relu", "conv2d", "relu", "conv2d", "relu"]


def test_no_operator_is_blamed_where_nothing_works() -> None:
    program = capture(nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), (X,))
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
