"""Capturing: names, shapes and dtypes of inputs and outputs, and what cannot be captured."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import networks
import pytest
import torch
from torch import nn

from cnn_export.errors import InputRefused
from cnn_export.program.program import Program, capture

Forward = Callable[[torch.Tensor], Any]


class Returning(nn.Module):
    """A convolution whose result goes into a structure."""

    def __init__(self, structure: Forward) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.structure = structure

    def forward(self, image: torch.Tensor) -> Any:
        return self.structure(self.conv(image))


IMAGE = torch.randn(1, 3, 7, 11)


def specs(program: Program) -> list[tuple[str, tuple[int, ...]]]:
    return [(spec.name, spec.shape) for spec in program.outputs]


NAMED: list[tuple[Forward, list[tuple[str, tuple[int, ...]]]]] = [
    (lambda y: y, [("output", (1, 4, 5, 9))]),
    (lambda y: [y], [("output", (1, 4, 5, 9))]),
    (lambda y: (y, y.mean((2, 3))), [("output_0", (1, 4, 5, 9)), ("output_1", (1, 4))]),
    (
        lambda y: {"map": y, "score": y.mean((2, 3))},
        [("map", (1, 4, 5, 9)), ("score", (1, 4))],
    ),
    (lambda y: {"map": y}, [("map", (1, 4, 5, 9))]),
    (
        lambda y: (y, [y.mean(3), {"deep": y.mean((2, 3))}]),
        [("output_0", (1, 4, 5, 9)), ("output_1", (1, 4, 5)), ("output_2", (1, 4))],
    ),
    (lambda y: {"a": y, "b": y}, [("a", (1, 4, 5, 9)), ("b", (1, 4, 5, 9))]),
    (lambda y: (y, None), [("output", (1, 4, 5, 9))]),
    (lambda y: y.argmax(1), [("output", (1, 5, 9))]),
]


@pytest.mark.parametrize(("structure", "expected"), NAMED)
def test_outputs_are_named_and_computed(
    structure: Forward, expected: list[tuple[str, tuple[int, ...]]]
) -> None:
    module = Returning(structure)
    program = capture(module, [IMAGE])
    assert specs(program) == expected
    results = program.graph_module(IMAGE)
    assert isinstance(results, tuple)
    leaves = _leaves(module(IMAGE))
    assert len(results) == len(leaves)
    for result, leaf, spec in zip(results, leaves, program.outputs, strict=True):
        assert torch.equal(result, leaf)
        assert spec.dtype == leaf.dtype


def _leaves(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if value is None:
        return []
    return [t for v in (value.values() if isinstance(value, dict) else value) for t in _leaves(v)]


def test_an_ordered_dict_keeps_its_keys() -> None:
    program = capture(Returning(lambda y: OrderedDict([("b", y), ("a", y.mean((2, 3)))])), [IMAGE])
    assert specs(program) == [("b", (1, 4, 5, 9)), ("a", (1, 4))]


def test_several_inputs_keep_their_names_and_order() -> None:
    example = [torch.randn(shape) for shape in networks.TWO_SHAPES.values()]
    program = capture(networks.two_in_two_out(), example)
    assert [(s.name, s.shape, s.dtype_name) for s in program.inputs] == [
        ("image", (1, 3, 17, 24), "float32"),
        ("mask", (1, 1, 9, 12), "float32"),
    ]
    assert specs(program) == [("logits", (1, 5)), ("features", (1, 4, 9, 12))]
    expected = networks.two_in_two_out()(*example)
    for result, name in zip(program.graph_module(*example), ("logits", "features"), strict=True):
        torch.testing.assert_close(result, expected[name])


def test_an_optional_argument_may_be_left_out() -> None:
    class Optional(nn.Module):
        def forward(self, image: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            return image * 2 if mask is None else image * mask

    program = capture(Optional(), [IMAGE])
    assert [spec.name for spec in program.inputs] == ["image"]
    assert torch.equal(program.graph_module(IMAGE)[0], IMAGE * 2)


def test_integer_inputs() -> None:
    embedding = nn.Embedding(5, 3)
    program = capture(embedding, [torch.tensor([[1, 4, 2]])])
    assert [(s.name, s.shape, s.dtype) for s in program.inputs] == [("input", (1, 3), torch.int64)]
    assert specs(program) == [("output", (1, 3, 3))]


def test_eval_mode_whatever_mode_the_module_was_in() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.9))
    module = networks.seeded(module).train()
    program = capture(module, [IMAGE])
    assert module.training
    assert torch.equal(program.graph_module(IMAGE)[0], module.eval()(IMAGE))


def test_a_dynamic_batch_marks_the_batch_only() -> None:
    class Anchored(nn.Module):
        """Returns its anchors, as detectors do: they have no batch."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.register_buffer("anchors", torch.randn(6, 4))

        def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"map": self.conv(image), "anchors": self.get_buffer("anchors") * 2}

    program = capture(Anchored(), [IMAGE], dynamic_batch=True)
    assert program.inputs[0].shape == (-1, 3, 7, 11)
    assert specs(program) == [("map", (-1, 4, 5, 9)), ("anchors", (6, 4))]
    assert program.example_inputs_of_one()[0].shape == (1, 3, 7, 11)
    for batch in (1, 2, 5):
        assert program.graph_module(torch.randn(batch, 3, 7, 11))[0].shape == (batch, 4, 5, 9)


def test_a_dynamic_batch_of_two_inputs() -> None:
    module = networks.two_in_two_out()
    example = [torch.randn(shape) for shape in networks.TWO_SHAPES.values()]
    program = capture(module, example, dynamic_batch=True)
    assert [s.shape for s in program.inputs] == [(-1, 3, 17, 24), (-1, 1, 9, 12)]
    assert specs(program) == [("logits", (-1, 5)), ("features", (-1, 4, 9, 12))]


REFUSED: list[tuple[Forward, str]] = [
    (lambda y: (y, 3), "constant 3"),
    (lambda y: {"map": y, "kind": "mobile"}, "'mobile'"),
    (lambda y: None, "returns no tensor"),
    (lambda y: {}, "returns no tensor"),
    (lambda y: {"image": y}, "'image'"),
    (lambda y: {1: y, "1": y}, "'1'"),
]


@pytest.mark.parametrize(("structure", "said"), REFUSED)
def test_outputs_that_are_refused(structure: Forward, said: str) -> None:
    with pytest.raises(InputRefused, match=said) as caught:
        capture(Returning(structure), [IMAGE])
    assert "\n" not in str(caught.value)


def _branch(y: torch.Tensor) -> torch.Tensor:
    if y.sum() > 0:
        return y
    return -y


def _exit(y: torch.Tensor) -> torch.Tensor:
    raise SystemExit(f"not for {y.dtype}")


@pytest.mark.parametrize(
    ("forward", "told", "said"),
    [
        (_branch, "cannot be traced", "data-dependent"),
        (_exit, "fails", "not for torch.float32; give a shape it takes"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_its_line(
    forward: Forward, told: str, said: str
) -> None:
    with pytest.raises(InputRefused) as caught:
        capture(Returning(forward), [IMAGE])
    message = str(caught.value)
    line = inspect.getsourcelines(forward)[1] + 1
    assert caught.value.exit_code == 4
    assert "\n" not in message
    assert f"Returning at {__file__}:{line} {told} at input 1x3x7x11: " in message
    assert said in message


def test_a_wrong_number_of_inputs_is_refused() -> None:
    with pytest.raises(InputRefused, match="TwoInTwoOut fails at input") as caught:
        capture(networks.two_in_two_out(), [IMAGE])
    assert "\n" not in str(caught.value)


class Sum(nn.Module):
    """Adds any number of inputs to the first."""

    def forward(self, image: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        return image + sum(each * 2 for each in more)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_inputs_share_the_dynamic_batch(count: int) -> None:
    images = [torch.randn(5, 3, 7, 11) for _ in range(count)]
    program = capture(Sum(), [IMAGE] * count, dynamic_batch=True)
    assert [spec.shape for spec in program.inputs] == [(-1, 3, 7, 11)] * count
    torch.testing.assert_close(program.graph_module(*images)[0], Sum()(*images))


class OfBatch(nn.Module):
    def __init__(self, function: Forward) -> None:
        super().__init__()
        self.function = function

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        return self.function(images[0])


NO_BATCH: list[tuple[Forward, str]] = [
    (lambda x: x + torch.ones(16, 1, 1, 1), "it makes a constant of the batch, as int"),
    (lambda x: x * 2 if x.shape[0] > 8 else x, "it holds only where 9 <= batch and batch <= 64"),
    (lambda x: x.reshape(2, -1, 3, 7, 11), "it holds only where ((231*batch) % 462) == 0"),
]


@pytest.mark.parametrize(("function", "reason"), NO_BATCH)
def test_a_batch_that_cannot_be_open_is_one_line(function: Forward, reason: str) -> None:
    with pytest.raises(InputRefused) as caught:
        capture(OfBatch(function), [IMAGE], dynamic_batch=True)
    line = str(caught.value)
    assert line.startswith(f"OfBatch cannot take every batch from 1 to 64: {reason}")
    assert line.endswith("; export it for one batch size or change the network")
    assert "TORCH_LOGS" not in line
    assert "\n" not in line
