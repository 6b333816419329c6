"""Axes, numbers and downsampling: arithmetic by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.report.charts.axes import Axis, fitted
from cnn_export.benchmarks.report.downsampling import buckets, every_kth
from cnn_export.benchmarks.statistics.intervals import Interval
from cnn_export.benchmarks.tables.quantities import interval_ms, milliseconds, quantity, significant


def test_linear_axis_maps_ends_and_middle() -> None:
    axis = Axis(10.0, 30.0, 100.0, 300.0)
    assert [axis(10.0), axis(20.0), axis(30.0)] == [100.0, 200.0, 300.0]


def test_axis_may_run_upwards_on_the_screen() -> None:
    axis = Axis(0.0, 4.0, 200.0, 0.0)
    assert axis(1.0) == 150.0


def test_logarithmic_axis_puts_the_geometric_mean_in_the_middle() -> None:
    axis = Axis(1.0, 100.0, 0.0, 10.0, logarithmic=True)
    assert axis(10.0) == 5.0


def test_values_beyond_the_axis_stand_on_its_end() -> None:
    axis = Axis(1.0, 2.0, 0.0, 10.0)
    assert axis(5.0) == 10.0
    assert axis(-5.0) == 0.0


def test_ticks_are_round_and_inside() -> None:
    assert Axis(0.3, 9.7, 0, 1).ticks(5) == [2.0, 4.0, 6.0, 8.0]
    assert Axis(3.0, 700.0, 0, 1, logarithmic=True).ticks() == [5, 10, 20, 50, 100, 200, 500]


def test_a_wide_range_is_logarithmic_and_a_narrow_one_is_not() -> None:
    assert fitted([1.0, 100.0], 0, 1).logarithmic
    assert not fitted([1.0, 2.0], 0, 1).logarithmic
    assert not fitted([0.0, 100.0], 0, 1).logarithmic


def test_a_margin_is_six_percent_of_the_range() -> None:
    assert fitted([10.0, 20.0], 5, 6) == Axis(pytest.approx(9.4), pytest.approx(20.6), 5, 6)
    assert fitted([-1.0, 1.0], 0, 1) == Axis(pytest.approx(-1.12), pytest.approx(1.12), 0, 1)


def test_a_margin_of_a_wide_range_is_six_percent_of_its_decades() -> None:
    spread = 100**0.06
    expected = Axis(pytest.approx(1 / spread), pytest.approx(100 * spread), 0, 1, logarithmic=True)
    assert fitted([100.0, 1.0, 7.0], 0, 1) == expected


@pytest.mark.parametrize(
    ("value", "low", "high"), [(5.0, 4.5, 5.5), (-5.0, -5.5, -4.5), (0.0, -1.0, 1.0)]
)
def test_a_single_value_has_room_on_both_sides(value: float, low: float, high: float) -> None:
    assert fitted([value, value], 0, 1) == Axis(low, high, 0, 1)


def test_an_axis_from_zero_has_its_margin_above_only() -> None:
    assert fitted([3.0, 50.0], 2, 9, from_zero=True) == Axis(0.0, 53.0, 2, 9)
    assert fitted([0.0], 2, 9, from_zero=True) == Axis(0.0, 1.06, 2, 9)
    assert not fitted([1.0, 1000.0], 0, 1, from_zero=True).logarithmic


def test_eightfold_ranges_are_logarithmic_and_narrower_ones_are_not() -> None:
    assert fitted([2.0, 16.0], 0, 1).logarithmic
    assert not fitted([2.0, 15.99], 0, 1).logarithmic
    assert not fitted([-2.0, 16.0], 0, 1).logarithmic


@pytest.mark.parametrize(
    ("low", "high", "wanted", "ticks"),
    [
        (0.0, 10.0, 5, [0, 2, 4, 6, 8, 10]),
        (0.0, 5.0, 5, [0, 1, 2, 3, 4, 5]),
        (0.0, 12.0, 5, [0, 2.5, 5, 7.5, 10]),
        (0.0, 24.0, 5, [0, 5, 10, 15, 20]),
        (0.0, 30.0, 4, [0, 10, 20, 30]),
        (-0.3, 0.3, 3, [-0.2, 0, 0.2]),
        (0.13, 0.17, 4, [0.13, 0.14, 0.15, 0.16, 0.17]),
        (7.0, 8.0, 1, [7, 8]),
        (990.0, 1010.0, 2, [990, 1000, 1010]),
    ],
)
def test_linear_ticks_are_the_multiples_of_a_round_step(
    low: float, high: float, wanted: int, ticks: list[float]
) -> None:
    assert Axis(low, high, 0, 1).ticks(wanted) == ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1.0, 100.0, [1, 2, 5, 10, 20, 50, 100]),
        (0.9, 1100.0, [1, 10, 100, 1000]),
        (1.5, 900.0, [2, 5, 10, 20, 50, 100, 200, 500]),
        (0.05, 3000.0, [0.1, 1, 10, 100, 1000]),
        (2.1, 4.9, [3, 4]),
    ],
)
def test_logarithmic_ticks_thin_out_over_many_decades(
    low: float, high: float, ticks: list[float]
) -> None:
    """Between the powers of ten, two and five; from five decades on none; few values: linear."""
    assert Axis(low, high, 0, 1, logarithmic=True).ticks() == pytest.approx(ticks)


def test_positions_are_rounded_to_hundredths() -> None:
    assert Axis(0.0, 3.0, 0.0, 10.0)(1.0) == 3.33
    assert Axis(1.0, 8.0, 10.0, 0.0, logarithmic=True)(2.0) == 6.67


@given(st.lists(st.just(0.0) | st.floats(1e-9, 1e12), min_size=1, max_size=20))
def test_a_fitted_axis_holds_every_value(values: list[float]) -> None:
    axis = fitted(values, 0.0, 100.0)
    assert axis.low < min(values) or min(values) == axis.low == 0
    assert axis.high > max(values)
    assert all(0 <= axis(value) <= 100 for value in values)


@pytest.mark.parametrize("bad", [[], [math.nan], [1.0, math.inf]])
def test_an_axis_refuses_what_has_no_place(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        fitted(bad, 0, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12.345, "12.3"), (0.012345, "0.0123"), (1234.6, "1235"), (0.5, "0.500"),
     (99.96, "100.0"), (2e-5, "0.0000200")],
)  # fmt: skip
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (300_800_000, "MACs", "301 M MACs"),
        (13_900_000, "B", "13.9 MB"),
        (999, "B", "999 B"),
        (1_814_000_000, "MAC/s", "1.81 GMAC/s"),
        (None, "B", "not known"),
        (0, "MACs", "0 MACs"),
    ],
)
def test_quantities_have_units(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_milliseconds_of_nanoseconds() -> None:
    assert milliseconds(6_945_000) == "6.95" or milliseconds(6_945_000) == "6.94"
    assert milliseconds(38_000) == "0.0380"


def test_an_interval_states_its_true_confidence() -> None:
    assert interval_ms(Interval(2e6, 1.5e6, 2.5e6, 0.875)) == "1.50 to 2.50 ms (87.5 %)"
    assert "one process" in interval_ms(Interval(2e6, 2e6, 2e6, 0.0))


def test_downsampling_keeps_even_distances_and_the_first() -> None:
    assert every_kth(list(range(10)), 4) == [0, 3, 6, 9]
    assert every_kth([1, 2], 5) == [1, 2]
    assert every_kth([], 5) == []


def test_buckets_hold_every_inference_in_order() -> None:
    samples = np.array([1, 2, 3, 4, 100, 100, 100], np.int64) * 1_000_000_000
    found = buckets(samples, 2, start_s=5.0)
    assert [bucket.count for bucket in found] == [4, 3]
    assert [bucket.until_s for bucket in found] == [15.0, 315.0]
    assert [bucket.median_ns for bucket in found] == [2.5e9, 100e9]
