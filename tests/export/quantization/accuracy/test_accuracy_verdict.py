"""Verdicts: which figure judges which output, and what is said where it is not enough."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnn_export.errors import AccuracyRefused, ParityError
from cnn_export.quantization.accuracy.bounds import Bounds
from cnn_export.quantization.accuracy.calibrated_twice import calibrated_twice
from cnn_export.quantization.accuracy.float_layers.sensitivity import LayerCost, LayerSensitivity
from cnn_export.quantization.accuracy.measurement import measure
from cnn_export.quantization.accuracy.refusal import require_accuracy, require_same_twice
from cnn_export.quantization.accuracy.verdict import Verdict, judge
from cnn_export.quantization.decision import Decision, TensorScale


def classes(answers: list[int], sure: list[bool]) -> np.ndarray:
    """Logits of three classes whose largest is the answer, and sure of it or not."""
    logits = np.zeros((len(answers), 3))
    logits[range(len(answers)), answers] = np.where(sure, 9.0, 0.1)
    return logits


def verdicts(
    flips_sure: int,
    flips_unsure: int,
    labels: list[int] | None = None,
    bounds: Bounds | None = None,
) -> dict[str, Verdict]:
    """One hundred sure samples and one hundred unsure ones, of which some flip."""
    sure = [True] * 100 + [False] * 100
    flipped = [1] * flips_sure + [0] * (100 - flips_sure) + [1] * flips_unsure
    flipped += [0] * (200 - len(flipped))
    pair = {"y": classes([0] * 200, sure)}, {"y": classes(flipped, sure)}
    return {each.figure: each for each in judge(measure([pair], labels=labels), bounds)}


@pytest.mark.parametrize(
    ("flips_sure", "flips_unsure", "sure", "overall"),
    [(0, 0, True, True), (3, 67, True, True), (4, 0, False, True), (0, 71, True, False)],
)
def test_classes(flips_sure: int, flips_unsure: int, sure: bool, overall: bool) -> None:
    found = verdicts(flips_sure, flips_unsure)
    assert set(found) == {"agreement where fp32 is sure", "agreement"}
    assert found["agreement where fp32 is sure"].met is sure
    assert found["agreement"].met is overall
    text = found["agreement where fp32 is sure"].text
    assert f"{100 - flips_sure} of 100; " in text
    assert ("only" in text) is not sure


def test_a_verdict_says_whether_the_samples_are_enough() -> None:
    assert not verdicts(2, 0)["agreement where fp32 is sure"].certain
    assert verdicts(30, 0)["agreement where fp32 is sure"].certain
    assert verdicts(0, 0)["agreement"].certain


def test_networks_that_are_never_sure_are_judged_overall() -> None:
    pair = {"y": classes([0] * 40, [False] * 40)}, {"y": classes([1] * 15 + [0] * 25, [False] * 40)}
    overall, scores = judge(measure([pair]))
    assert (overall.figure, overall.met) == ("agreement", False)
    assert scores.figure == "variance explained"


def test_agreement_alone_is_no_verdict_on_classes_that_nothing_tells_apart() -> None:
    """One class for every sample agrees with anything of that kind; the scores do not."""
    generator = np.random.default_rng(4)
    fp32 = generator.normal(0, 0.05, (40, 4)) + np.array([1.0, 0.5, 0.5, 0.5])
    ignorant = np.tile(fp32.mean(0), (40, 1))
    pair = {"y": fp32.astype(np.float32)}, {"y": ignorant.astype(np.float32)}
    found = {each.figure: each.met for each in judge(measure([pair]))}
    assert found == {"agreement": True, "variance explained": False}


@pytest.mark.parametrize(("lost", "met"), [(0, True), (2, True), (3, False)])
def test_true_classes(lost: int, met: bool) -> None:
    found = verdicts(lost, 0, labels=[0] * 200)["accuracy lost"]
    assert found.met is met
    assert "100.0% to" in found.text
    assert found.reason


def test_one_sample_is_always_allowed() -> None:
    pair = {"y": classes([0] * 40, [True] * 40)}, {"y": classes([1] + [0] * 39, [True] * 40)}
    found = judge(measure([pair], labels=[0] * 40))
    assert all(each.met for each in found)
    assert "2.5%" in found[-1].text


def test_bounds_are_settable() -> None:
    found = verdicts(10, 90, bounds=Bounds(agreement_sure=0.9, agreement=0.5))
    assert all(each.met for each in found.values())


def test_other_kinds() -> None:
    fp32 = np.random.default_rng(0).standard_normal((30, 8))
    near, far = fp32 + 0.05, np.roll(fp32, 1, axis=1)
    for kind, figure in (
        ("map", "cosine"),
        ("embedding", "cosine"),
        ("vector", "variance explained"),
    ):
        for int8, met in ((near, True), (far, False), (np.full_like(fp32, np.nan), False)):
            (found,) = judge(measure([({"y": fp32}, {"y": int8})], {"y": kind}))
            assert (found.figure, found.met) == (figure, met), (kind, found)


def test_maps_may_turn_further_than_embeddings() -> None:
    fp32 = np.eye(16)
    int8 = fp32 + 0.1  # cosine 1.1 / sqrt(1.1² + 15 · 0.1²) = 0.943
    kinds = ("map", "embedding")
    met = [judge(measure([({"y": fp32}, {"y": int8})], {"y": kind}))[0].met for kind in kinds]
    assert met == [True, False]


def test_a_constant_regression_is_kept_or_not() -> None:
    fp32 = np.full((20, 1), 3.0)
    (same,) = judge(measure([({"y": fp32}, {"y": fp32})]))
    (other,) = judge(measure([({"y": fp32}, {"y": fp32 + 0.1})]))
    assert (same.met, other.met) == (True, False)


def test_a_high_cosine_does_not_pass_classes() -> None:
    """SNR and cosine rank nothing: 30 dB, and every answer flips."""
    fp32 = np.zeros((50, 10)) + 1
    fp32[:, 0], int8 = 1.04, fp32.copy()
    int8[:, 1] = 1.06
    (figures,) = measure([({"y": fp32}, {"y": int8})])
    assert figures.snr_db > 30
    assert figures.cosine > 0.999
    assert not judge([figures])[0].met


def test_saturation_is_said_where_a_bound_is_missed() -> None:
    fp32 = np.random.default_rng(0).standard_normal((30, 8))
    for reach, met, said in ((0.2, False, True), (9.0, False, False), (0.2, True, False)):
        int8 = fp32 if met else -fp32
        pair = ({"y": fp32}, {"y": int8})
        (found,) = judge(measure([pair], {"y": "embedding"}, limits={"y": (-reach, reach)}))
        assert found.met is met
        assert ("of its values saturate" in found.text) is said


SENSITIVITY = (
    LayerSensitivity(LayerCost("conv 1", 900, 3000), 0.5, True),
    LayerSensitivity(LayerCost("head", 100, 60), 0.1, True),
    LayerSensitivity(LayerCost("conv2d_7", 9000, 9), 0.0, True),
)


def test_a_refusal_names_figures_layers_costs_and_the_way_out() -> None:
    with pytest.raises(AccuracyRefused) as refused:
        require_accuracy(tuple(verdicts(10, 0).values()), SENSITIVITY)
    said = str(refused.value)
    assert "\n" not in said
    for part in (
        "'y': agreement where fp32 is sure only 90.0% (90 of 100; 82.6% to 94.5%), at least 97.0%",
        "conv 1 (in float 9.0% of the multiply-accumulates and 3,000 bytes more)",
        "--keep-float 'conv 1' --keep-float head, or --keep-float auto",
    ):
        assert part in said
    assert "conv2d_7" not in said
    assert isinstance(refused.value, ParityError)
    assert refused.value.exit_code == 3
    require_accuracy(tuple(verdicts(3, 0).values()), SENSITIVITY)


def test_without_a_layer_to_blame() -> None:
    with pytest.raises(AccuracyRefused, match=r"more calibration samples, or --keep-float auto"):
        require_accuracy(tuple(verdicts(10, 0).values()))


def decision(**scales: float) -> Decision:
    return Decision({name: TensorScale(scale, 0, "") for name, scale in scales.items()}, {})


def test_calibrated_twice() -> None:
    first, second = decision(a=0.1, b=0.2, c=0.3, d=1), decision(a=0.1, b=0.5, c=0.15)
    alike = measure([({"y": classes([0] * 40, [True] * 40)},) * 2])
    twice = calibrated_twice(first, second, alike)
    assert [(each.tensor, round(each.ratio, 6)) for each in twice.shifts] == [
        ("b", 2.5),
        ("c", 2.0),
        ("a", 1.0),
    ]
    assert (twice.unmatched, twice.median_ratio, twice.agree) == (("d",), pytest.approx(2), True)
    require_same_twice(twice)
    flipped = classes([1] * 9 + [0] * 31, [True] * 40)
    other = measure([({"y": classes([0] * 40, [True] * 40)}, {"y": flipped})])
    with pytest.raises(AccuracyRefused, match=r"halves .*only 77.5% .*b by 2.50, .*one only: d"):
        require_same_twice(calibrated_twice(first, second, other))
    assert math.isclose(calibrated_twice(decision(), decision(), alike).median_ratio, 1)
