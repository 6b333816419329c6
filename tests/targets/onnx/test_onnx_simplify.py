"""onnxsim's form is taken only where it is smaller and the same; a failure of it costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxsim
import pytest
from onnx import TensorProto, helper

from cnn_export.errors import OperatorRefused
from cnn_export.targets.onnx import model_proto

SHAPE = [3, 5]
FEEDS = {"x": np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)}


def graph(
    *operators: str, output: int = TensorProto.FLOAT, shape: list[int] | None = None
) -> onnx.ModelProto:
    """Return a chain of one-input operators from ``x`` to ``y``; Cast and Not give booleans."""
    nodes, last = [], "x"
    for index, operator in enumerate(operators):
        name = "y" if index == len(operators) - 1 else f"t{index}"
        attributes = {"to": output} if operator == "Cast" else {}
        attributes |= {"keepdims": 1} if operator.startswith("Reduce") else {}
        nodes.append(helper.make_node(operator, [last], [name], **attributes))
        last = name
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE),
        helper.make_tensor_value_info("y", output, shape or SHAPE),
    ]
    made = helper.make_graph(nodes, "chain", values[:1], values[1:])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def simplified(
    monkeypatch: pytest.MonkeyPatch, model: onnx.ModelProto, simplify: Callable[[Any], Any]
) -> onnx.ModelProto:
    monkeypatch.setattr(onnxsim, "simplify", simplify)
    return model_proto.simplified(model, FEEDS)


BOOL, INT64 = TensorProto.BOOL, TensorProto.INT64


@pytest.mark.parametrize(
    ("model", "smaller"),
    [
        (graph("Identity", "Relu"), graph("Relu")),
        (graph("Cast", "Identity", output=INT64), graph("Cast", output=INT64)),
        (graph("Cast", "Not", "Not", output=BOOL), graph("Cast", output=BOOL)),
    ],
)
def test_an_equal_smaller_form_is_taken(
    model: onnx.ModelProto, smaller: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simplified(monkeypatch, model, lambda _: (smaller, True)) is smaller


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (graph("Identity", "Relu"), graph("Abs")),
        (graph("Cast", "Not", "Identity", output=BOOL), graph("Cast", output=BOOL)),
        (graph("Floor", "Cast", output=INT64), graph("Cast", output=INT64)),
        (
            graph("Relu", "ReduceMean", shape=[1, 1]),
            graph("ReduceMean", shape=[1, 1]),
        ),
        (graph("Identity", "Identity", "Relu"), graph("Identity", "NoSuchOperator")),
        (graph("Sign", "Identity"), graph("Cast", output=INT64)),
    ],
)
def test_a_wrong_or_broken_form_is_not_taken(
    model: onnx.ModelProto, wrong: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simplified(monkeypatch, model, lambda _: (wrong, True)) is model


def test_a_result_that_only_broadcasts_to_the_same_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feeds = {"x": np.full(SHAPE, 2.0, np.float32)}
    wrong = graph("ReduceMean", shape=[1, 1])
    model = graph("Identity", "Relu")
    monkeypatch.setattr(onnxsim, "simplify", lambda _: (wrong, True))
    assert model_proto.simplified(model, feeds) is model


def test_a_form_that_is_not_smaller_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model, same = graph("Identity", "Relu"), graph("Relu", "Identity")
    assert simplified(monkeypatch, model, lambda _: (same, True)) is model


def test_a_simplifier_that_raises_leaves_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: Any) -> Any:
        raise RuntimeError("no")

    model = graph("Identity", "Relu")
    assert simplified(monkeypatch, model, failing) is model


def test_onnxsim_itself_removes_an_identity() -> None:
    result = model_proto.simplified(graph("Identity", "Relu"), FEEDS)
    assert [node.op_type for node in result.graph.node] == ["Relu"]


def test_a_checker_without_a_message_adds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr(onnx.checker, "check_model", silent)
    with pytest.raises(OperatorRefused, match=r"rejects what it becomes$"):
        model_proto.finish(graph("Relu"), {}, None)
