"""The roofline's arithmetic, and that the host's measured peaks are of this world."""

from __future__ import annotations

import dataclasses

import pytest

from cnn_export.benchmarks.cost.artifact_cost import OpCost
from cnn_export.benchmarks.cost.host_peaks import measure_peaks
from cnn_export.benchmarks.cost.roofline import Peaks, bound_of

PEAKS = Peaks(2e9, 1e9, 1, "product", "triad")
OP = OpCost("conv", "CONV_2D", "contraction", 6_000_000, 1_000_000, 500_000, 500_000, 1, "float32")


def test_bound_is_the_higher_roof() -> None:
    bound = bound_of(OP, PEAKS)
    assert (bound.roof, bound.compute_ms, bound.memory_ms) == ("compute", 3.0, 2.0)
    assert bound.lower_bound_ms == 3.0
    fewer = bound_of(dataclasses.replace(OP, macs=2_000_000), PEAKS)
    assert (fewer.roof, fewer.lower_bound_ms) == ("memory", 2.0)
    assert PEAKS.ridge_macs_per_byte == 2.0


@pytest.mark.parametrize("change", [{"dtype": "int8"}, {"dtype": "float16"}, {"macs": None}])
def test_float32s_peak_bounds_nothing_else(change) -> None:
    bound = bound_of(dataclasses.replace(OP, **change), PEAKS)
    assert (bound.roof, bound.compute_ms, bound.lower_bound_ms) == ("memory", None, 2.0)


def test_view_has_no_bound() -> None:
    view = dataclasses.replace(OP, macs=0, input_bytes=0, weight_bytes=0, output_bytes=0)
    assert (bound_of(view, PEAKS).roof, bound_of(view, PEAKS).lower_bound_ms) == ("none", 0.0)


def test_host_is_measured_with_the_threads_asked_for() -> None:
    peaks = measure_peaks(1)
    assert peaks.threads == 1
    # Any machine since 2000, and none yet: a wrong unit is a thousand off.
    assert 1e8 < peaks.macs_per_s < 1e13
    assert 1e8 < peaks.bytes_per_s < 1e12
