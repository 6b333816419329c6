"""Figures of int8 against fp32: equal to those computed at once, whatever the batches."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from cnn_export.errors import InputRefused
from cnn_export.quantization.accuracy.measurement import answers, measure
from cnn_export.quantization.accuracy.output_error import output_error
from cnn_export.quantization.accuracy.output_kind import output_kind
from cnn_export.quantization.accuracy.share import Share


@given(st.integers(1, 3000), st.data())
def test_the_interval_is_wilsons(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    expected = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert Share(count, total).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def scores(seed: int, count: int = 41, classes: int = 5, scale: float = 1.5) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((count, classes)) * scale
    return values.astype(np.float32)


def batched(*arrays: np.ndarray, sizes: tuple[int, ...]) -> list[tuple[dict, dict]]:
    borders = np.cumsum(sizes)[:-1]
    parts = [np.split(array, borders) for array in arrays]
    return [({"y": fp32}, {"y": int8}) for fp32, int8 in zip(*parts, strict=True)]


@pytest.mark.parametrize("sizes", [(41,), (1,) * 41, (7, 20, 14)])
@pytest.mark.parametrize("softmax", [False, True])
def test_figures_of_class_scores(sizes: tuple[int, ...], softmax: bool) -> None:
    fp32, int8 = scores(1), scores(1) + scores(2, scale=0.6)
    if softmax:
        fp32, int8 = special.softmax(fp32, axis=1), special.softmax(int8, axis=1)
    labels = np.where(np.arange(41) % 2, fp32.argmax(1), np.arange(41) % 5)
    pairs = batched(fp32, int8, sizes=sizes)
    (figures,) = measure(pairs, labels=labels.tolist())
    assert (figures.name, figures.samples) == ("y", 41)
    assert figures.kind == ("probabilities" if softmax else "logits")
    probability = fp32 if softmax else special.softmax(fp32.astype(np.float64), axis=1)
    same, sure = fp32.argmax(1) == int8.argmax(1), probability.max(1) > 0.5
    assert 0 < (same & sure).sum() < sure.sum() < 41, "the data tells the cases apart"
    assert figures.agreement == Share(int(same.sum()), 41)
    assert figures.agreement_sure == Share(int((same & sure).sum()), int(sure.sum()))
    wide, other = fp32.astype(np.float64), int8.astype(np.float64)
    cosines = [1 - stats_cosine(a, b) for a, b in zip(wide, other, strict=True)]
    assert figures.cosine == pytest.approx(np.mean(cosines), rel=1e-12)
    assert figures.cosine_worst == pytest.approx(min(cosines), rel=1e-12)
    noise = ((wide - other) ** 2).sum()
    assert figures.snr_db == pytest.approx(10 * np.log10((wide**2).sum() / noise), rel=1e-12)
    spread = ((wide - wide.mean(0)) ** 2).sum()
    assert figures.explained == pytest.approx(1 - noise / spread, rel=1e-12)
    truth = figures.true_classes
    assert truth is not None
    right, right_int8 = fp32.argmax(1) == labels, int8.argmax(1) == labels
    assert truth.fp32.count == right.sum()
    assert truth.int8.count == right_int8.sum()
    assert truth.lost == (right & ~right_int8).sum()
    assert truth.gained == (right_int8 & ~right).sum()
    assert truth.loss == pytest.approx(right.mean() - right_int8.mean())


def stats_cosine(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.spatial.distance import cosine

    return float(cosine(a, b))


def test_equal_outputs() -> None:
    (figures,) = measure(batched(scores(1), scores(1), sizes=(41,)))
    assert figures.agreement == Share(41, 41)
    assert (figures.snr_db, figures.explained, figures.true_classes) == (np.inf, 1.0, None)
    assert figures.cosine == pytest.approx(1)


def test_zero_rows_have_a_cosine() -> None:
    fp32, int8 = np.array([[0.0, 0], [0, 0], [3, 4]]), np.array([[0.0, 0], [1, 0], [3, 4]])
    (figures,) = measure([({"y": fp32}, {"y": int8})])
    assert (figures.cosine, figures.cosine_worst) == (pytest.approx(2 / 3), 0)


def test_outputs_that_cannot_be_compared() -> None:
    bad = scores(1)
    bad[4, 2] = np.nan
    with pytest.raises(InputRefused, match="float network's 'y' is NaN or infinite"):
        measure(batched(bad, scores(1), sizes=(41,)))
    with pytest.raises(ValueError, match="against"):
        measure([({"y": scores(1)}, {"y": scores(1, classes=6)})])
    with pytest.raises(ValueError, match="against"):
        measure([({"y": scores(1)}, {"z": scores(1)})])
    with pytest.raises(ValueError, match="40 labels"):
        measure(batched(scores(1), scores(1), sizes=(41,)), labels=[0] * 40)
    with pytest.raises(ValueError, match="labels for 42"):
        measure(batched(scores(1), scores(1), sizes=(41,)), labels=[0] * 42)
    with pytest.raises(ValueError, match="0 samples"):
        measure([])
    (figures,) = measure(batched(scores(1), bad, sizes=(41,)))
    assert np.isnan(figures.cosine)
    assert np.isnan(figures.snr_db)


def test_values_that_int8_cannot_reach() -> None:
    fp32 = scores(1)
    pairs = batched(fp32, fp32, sizes=(7, 34))
    (figures,) = measure(pairs, limits={"y": (-1.0, 0.75)})
    assert figures.saturated == pytest.approx(((fp32 < -1) | (fp32 > 0.75)).mean())
    assert measure(pairs)[0].saturated is None


def test_labels_of_another_network() -> None:
    right = scores(1).argmax(1)
    measure(
        batched(scores(1), scores(1), sizes=(41,)), labels=np.where(np.arange(41) % 3, 9, right)
    )
    with pytest.raises(InputRefused, match=r"is right on 0.0% .*are the labels those"):
        measure(batched(scores(1), scores(1), sizes=(41,)), labels=(right + 1) % 5)
    two = scores(1, classes=2)
    half = two.argmax(1) ^ (np.arange(41) % 2)
    with pytest.raises(InputRefused, match="hardly more than chance"):
        measure(batched(two, two, sizes=(41,)), labels=half)


UNIT = scores(4, classes=16)
UNIT = UNIT / np.linalg.norm(UNIT, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (scores(1), "logits"),
        (scores(1, count=1), "logits"),
        (special.softmax(scores(1), axis=1), "probabilities"),
        (special.expit(scores(1)), "logits"),
        (UNIT, "embedding"),
        (scores(1, classes=1), "vector"),
        (scores(1, classes=1)[:, 0], "vector"),
        (scores(1, classes=12).reshape(41, 2, 2, 3), "map"),
        (scores(1, classes=12).reshape(41, 12, 1, 1), "logits"),
        (scores(1, classes=12).reshape(41, 3, 4), "map"),
    ],
)
def test_kinds_of_output(values: np.ndarray, kind: str) -> None:
    assert output_kind(values) == kind


def test_a_kind_that_is_given_counts() -> None:
    (figures,) = measure(batched(scores(1), scores(2), sizes=(41,)), {"y": "embedding"})
    assert (figures.kind, figures.agreement) == ("embedding", None)


def test_memory_does_not_grow_with_the_samples() -> None:
    """100 batches of 160 kB for each network."""
    tracemalloc.start()
    try:
        inputs = ({"x": scores(seed, 20, 1000)} for seed in range(100))
        pairs = answers(lambda v: {"y": v["x"]}, lambda v: {"y": v["x"] * 1.01}, inputs)
        (figures,) = measure(pairs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert figures.samples == 2000
    assert peak < 4 * 2**20


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_error_is_the_divergence_of_classes(seed: int) -> None:
    fp32, int8 = scores(seed), scores(seed) + scores(seed + 1, scale=0.5)
    p, q = (special.softmax(each.astype(np.float64), axis=1) for each in (fp32, int8))
    expected = stats.entropy(p, q, axis=1).mean()
    pairs = batched(fp32, int8, sizes=(20, 21))
    assert output_error(pairs) == pytest.approx(expected, rel=1e-9)
    assert output_error(batched(p, q, sizes=(20, 21))) == pytest.approx(expected, rel=1e-6)


def test_the_error_of_other_outputs() -> None:
    fp32, int8 = np.array([[3.0, 4], [6, 8]]), np.array([[3.0, 5], [6, 8]])
    assert output_error([({"y": fp32}, {"y": int8})], {"y": "map"}) == pytest.approx(1 / 25 / 2)
    assert output_error([({"y": fp32}, {"y": fp32})]) == 0
    with pytest.raises(ValueError, match="no samples"):
        output_error([])
