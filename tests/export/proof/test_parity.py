"""Errors and limits against figures worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.errors import ParityError
from cnn_export.program.program import capture
from cnn_export.program.tensors import Precision, Tensors
from cnn_export.proof.parity import OutputParity, judge, measure, references, relative_error
from cnn_export.proof.probes import Probe
from cnn_export.proof.tolerances import TOLERANCES, Tolerance
from cnn_export.targets import TARGETS

TOLERANCE = Tolerance(base=1e-5, cap=5e-4, floor_multiple=4.0, reason="by hand")


def figure(
    output: str, error: float, *, probe: str = "normal", limit: float = 1e-5, own: float = 2e-5
):
    return OutputParity(probe, output, error, error, rms=1.0, limit=limit, float32_error=own)


@pytest.mark.parametrize(
    ("actual", "exact", "error"),
    [
        # The RMS of (3, 4) is sqrt(25 / 2).
        ([3.0, 4.5], [3.0, 4.0], 0.5 / math.sqrt(12.5)),
        ([1.0, 4.0], [3.0, 4.0], 2.0 / math.sqrt(12.5)),
        ([[-5.0], [5.0]], [[5.0], [5.0]], 2.0),
        ([7.0, 7.0], [7.0, 7.0], 0.0),
        # Without an RMS the plain maximum stands.
        ([0.0, 0.25], [0.0, 0.0], 0.25),
        ([], [], 0.0),
    ],
)
def test_relative_error(actual: list[float], exact: list[float], error: float) -> None:
    measured = relative_error(np.array(actual, np.float32), np.array(exact))
    assert measured == pytest.approx(error, rel=1e-12)


def test_whole_numbers_and_booleans_do_not_wrap() -> None:
    unsigned = relative_error(np.array([0, 2], np.uint8), np.array([1, 2], np.uint8))
    assert unsigned == pytest.approx(1 / math.sqrt(2.5))
    assert relative_error(np.array([True, False]), np.array([True, True])) == 1.0


def test_small_differences_are_taken_in_float64() -> None:
    exact = np.array([1.0 + 2.0**-30])
    assert relative_error(np.array([1.0], np.float32), exact) == pytest.approx(2.0**-30)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_bad_value_among_many_fails(bad: float) -> None:
    actual = np.ones((2, 3), np.float32)
    actual[1, 2] = bad
    error = relative_error(actual, np.ones((2, 3)))
    assert not math.isfinite(error)
    assert not figure("y", error, limit=1e9).passed


def test_judge_accepts_up_to_the_limit() -> None:
    accepted = [figure("a", 0.0), figure("b", 1e-5)]
    judge(accepted, "onnx")
    assert all(each.passed for each in accepted)
    with pytest.raises(ParityError):
        judge([*accepted, figure("c", math.nextafter(1e-5, 1))], "onnx")


@pytest.mark.parametrize("order", [1, -1])
def test_judge_names_the_worst(order: int) -> None:
    figures = [
        figure("logits", 2e-5),
        figure("boxes", 3e-2, probe="large", limit=1e-4),
        figure("anchors", 1e-3),
        figure("fine", 0.5, limit=1.0),
    ]
    with pytest.raises(ParityError) as caught:
        judge(figures[::order], "tflite")
    assert str(caught.value) == (
        "tflite: output 'boxes' is off by 0.03 of its RMS on the large probe (limit 0.0001), "
        "torch's own float32 by 2e-05; nothing was written"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_judge_holds_not_a_number_for_the_worst(order: int) -> None:
    figures = [figure("logits", 1e30), figure("boxes", math.nan)]
    with pytest.raises(ParityError, match="output 'boxes' is off by nan"):
        judge(figures[::order], "coreml")


@pytest.mark.parametrize(("own", "lost"), [(1e-3, True), (math.inf, True), (5e-4, False)])
def test_judge_says_where_float32_itself_loses(own: float, lost: bool) -> None:
    """An artifact three times as far off as torch's float32 is as good as float32 gets."""
    with pytest.raises(ParityError) as caught:
        judge([figure("y", 3e-3, limit=5e-4, own=own)], "onnx")
    assert ("float32 itself loses" in str(caught.value)) is lost
    assert f"limit 0.0005), torch's own float32 by {own:.2g};" in str(caught.value)


def whole(differing: int, own: float) -> OutputParity:
    return dataclasses.replace(
        figure("mask", 1e-7, limit=0.0, own=own), differing=differing, elements=40
    )


def test_judge_counts_whole_numbers() -> None:
    judge([dataclasses.replace(whole(0, 0.0), relative_error=0.0)], "onnx")
    with pytest.raises(ParityError, match="'mask', whole numbers, differs in 3 of 40 elements on"):
        judge([whole(3, 0.0)], "onnx")
    with pytest.raises(ParityError, match="near-ties that it cannot decide; return the scores"):
        judge([whole(3, 0.1)], "onnx")


def test_judge_gives_float16_for_the_reason_of_another_class() -> None:
    with pytest.raises(ParityError) as caught:
        judge([whole(3, 0.0)], "onnx", "fp16")
    told = "none: float16 has not the digits to decide near-ties; return the scores, and choose"
    assert told in str(caught.value)
    with pytest.raises(ParityError, match="own float32 in none; nothing was written"):
        judge([whole(3, 0.0)], "onnx", "fp32")


class Classes(nn.Module):
    """Scores, the best class as integer and as float, and where a score is positive."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "scores": x,
            "classes": x.argmax(1),
            "mask": x.argmax(1).unsqueeze(1).float().flatten(2),
            "positive": (x > 0).float(),
            "half": x.argmax(1) / 2,
            "rounded": x.round(),
        }


def test_whole_outputs_are_known_by_where_they_come_from() -> None:
    program = capture(Classes(), (torch.randn(1, 5, 3, 4),))
    assert program.whole_outputs == {"classes", "mask", "positive"}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_next_class_is_another_answer(precision: str) -> None:
    """Class 281 in place of 280 is 0.004 of the RMS: within what float16 scores may be off."""
    program = capture(Classes(), (torch.randn(1, 300, 2, 2),))
    inputs = {"x": np.random.default_rng(0).standard_normal((1, 300, 2, 2)).astype(np.float32)}
    inputs["x"][0, 280] = 9.0
    expected = references(Classes(), [Probe("normal", inputs)], program.outputs)

    def session(given: Tensors) -> Tensors:
        with torch.no_grad():
            values = Classes()(torch.from_numpy(given["x"]))
        arrays = {name: value.numpy() for name, value in values.items()}
        return {**arrays, "classes": arrays["classes"] + 1}

    figures = measure(session, program, "nchw", expected, TOLERANCES["onnx", precision])
    failed = [each for each in figures if not each.passed]
    assert [(each.output, each.differing, each.elements) for each in failed] == [("classes", 4, 4)]


@pytest.mark.parametrize(
    ("floor", "limit"),
    [
        (0.0, 1e-5),
        (2.5e-6, 1e-5),
        (1e-5, 4e-5),
        (1.25e-4, 5e-4),
        (1.0, 5e-4),
    ],
)
def test_limit_is_base_then_multiple_then_cap(floor: float, limit: float) -> None:
    assert TOLERANCE.limit(floor) == pytest.approx(limit, rel=1e-12)


def test_every_format_and_precision_has_a_tolerance() -> None:
    assert set(TOLERANCES) == {(t, p) for t in TARGETS for p in get_args(Precision)}
    for (_, precision), tolerance in TOLERANCES.items():
        assert tolerance.reason
        # Integers are equal, but for steps that their graph allows.
        if precision not in ("int8", "int8-dynamic"):
            assert 0 < tolerance.base < tolerance.cap <= 0.25


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic"])
@pytest.mark.parametrize("target", list(TARGETS))
def test_integers_are_equal_unless_their_graph_says_otherwise(target: str, precision: str) -> None:
    tolerance = TOLERANCES[target, precision]
    assert (tolerance.base, tolerance.floor_multiple) == (0.0, 0.0)


@pytest.mark.parametrize("target", list(TARGETS))
def test_half_precision_is_looser_than_single(target: str) -> None:
    single, half = TOLERANCES[target, "fp32"], TOLERANCES[target, "fp16"]
    assert single.base < half.base
    assert single.cap < half.cap
