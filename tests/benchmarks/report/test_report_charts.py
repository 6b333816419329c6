"""Charts are well-formed SVG whose marks stand where the figures say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
import report_records as made

from cnn_export.benchmarks.profiles.document import OpTime, Profile, Roofline
from cnn_export.benchmarks.report.charts.distribution import ROWS_MAX, distribution
from cnn_export.benchmarks.report.charts.labels import shortened, width_ems
from cnn_export.benchmarks.report.charts.op_bars import OPS_MAX, time_bars
from cnn_export.benchmarks.report.charts.ratios import ratios
from cnn_export.benchmarks.report.charts.roofline import roofline
from cnn_export.benchmarks.report.charts.scatter import against_mac_bytes, against_macs
from cnn_export.benchmarks.report.charts.timeline import BUCKETS_MAX, timeline
from cnn_export.benchmarks.report.numbered import Shown


@pytest.fixture
def shown() -> Shown:
    return made.shown(made.records())


def parsed(drawing: str) -> ElementTree.Element:
    root = ElementTree.fromstring(drawing)  # noqa: S314  (our own page)
    assert root.tag == "svg"
    assert root.get("viewBox")
    return root


def of_class(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if name in (element.get("class") or "").split()]


def test_distribution_has_a_row_per_process_and_their_medians_in_order(shown: Shown) -> None:
    drawing, caption = distribution(shown.series[0])
    ticks = [float(tick.get("x1") or 0) for tick in of_class(parsed(drawing), "tick")]
    assert len(ticks) == 6
    assert ticks == sorted(ticks)
    assert ticks[0] < ticks[-1]
    assert "30 inferences in 6 processes" in caption


def test_distribution_says_how_many_inferences_are_beyond_its_axis() -> None:
    lines = [made.run(), made.artifact(made.FAST, "net.tflite")]
    times = [*range(2_000_000, 2_099_000, 1000), 18_000_000]
    lines += [made.repeat(made.FAST, i, i, [*times, 2_000_001 + i]) for i in range(2)]
    _, caption = distribution(made.shown(lines).series[0])
    assert "2 took longer than the axis, up to 18.0 ms" in caption


def test_distribution_downsamples_processes_and_says_so() -> None:
    many = made.shown(made.records(processes=2 * ROWS_MAX + 1)).series[0]
    drawing, caption = distribution(many)
    rows = len(of_class(parsed(drawing), "tick"))
    assert rows <= ROWS_MAX
    assert f"{rows} of {2 * ROWS_MAX + 1} processes are drawn" in caption


def test_constant_times_are_drawn_too() -> None:
    lines = [
        made.run(),
        made.artifact(made.FAST, "net.tflite"),
        made.repeat(made.FAST, 0, 0, [7_000_000] * 3),
    ]
    drawing, _ = distribution(made.shown(lines).series[0])
    assert len(of_class(parsed(drawing), "tick")) == 1


def test_timeline_shows_clock_and_temperature_at_their_values(shown: Shown) -> None:
    drawing, caption = timeline(shown.series, made.RUN_ID)
    root = parsed(drawing)
    texts = [element.text for element in root.iter("text")]
    assert "clock, GHz" in texts
    assert "temperature, °C" in texts
    assert "Not recorded" not in caption
    assert len(of_class(root, "reading")) == 2 * 12


def test_timeline_spreads_readings_over_their_process(shown: Shown) -> None:
    drawing, _ = timeline(shown.series, made.RUN_ID)
    clocks = of_class(parsed(drawing), "reading")[:12]
    starts = []
    for path in clocks:
        first, second = re.findall(r"M([\d.]+) [\d.]+h([\d.]+)", path.get("d") or "")
        # Two readings of one process, one after the other.
        assert float(second[0]) == pytest.approx(float(first[0]) + float(first[1]), abs=0.2)
        starts.append(float(first[0]))
    assert sorted(starts) != [starts[0]] * len(starts)


def test_cells_are_the_darker_the_more_inferences_they_hold() -> None:
    lines = made.records()
    middle = made.FAST_NS
    # A hundred inferences at one time, four at another, one between: shades 5, 1 and 1.
    lines[3] = made.repeat(
        made.FAST, 0, 0, [middle] * 100 + [middle * 9 // 8] * 4 + [middle * 6 // 5]
    )
    lines[3:] = [lines[3]]
    drawing, _ = distribution(made.shown(lines).series[0])
    root = parsed(drawing)
    assert len(of_class(root, "cell5")) == 1
    assert (of_class(root, "cell5")[0].get("d") or "").count("M") == 1
    assert (of_class(root, "cell1")[0].get("d") or "").count("M") == 2
    assert of_class(root, "cell3") == []


def test_timeline_names_what_was_not_recorded() -> None:
    lines = [made.run(), made.artifact(made.FAST, "net.tflite")]
    lines.append(made.repeat(made.FAST, 0, 0, [5, 6], conditions={}))
    drawing, caption = timeline(made.shown(lines).series, made.RUN_ID)
    assert "Not recorded in this run: clock, GHz and temperature, °C." in caption
    assert not of_class(parsed(drawing), "reading")


def test_timeline_downsamples_a_long_run() -> None:
    lines = [made.run(), made.artifact(made.FAST, "net.tflite")]
    lines += [made.repeat(made.FAST, i, i, list(range(5000 + i, 15000 + i))) for i in range(2)]
    drawing, caption = timeline(made.shown(lines).series, made.RUN_ID)
    marks = sum((m.get("d") or "").count("M") for m in of_class(parsed(drawing), "mark"))
    assert marks == BUCKETS_MAX
    assert "20000 inferences of 2 processes" in caption


def test_scatter_orders_points_as_their_costs_and_times() -> None:
    lines = made.records()
    lines[1] = made.artifact(made.FAST, "fast.tflite", macs=10_000_000, mac_bytes=9_000_000)
    shown = made.shown(lines)
    for drawn in (against_macs(shown.series), against_mac_bytes(shown.series)):
        assert drawn is not None
        fast, slow = of_class(parsed(drawn[0]), "point")
        assert float(fast.get("cx") or 0) < float(slow.get("cx") or 0)
        assert float(fast.get("cy") or 0) > float(slow.get("cy") or 0)


def test_scatter_leaves_out_unknown_costs_and_says_so() -> None:
    lines = made.records()
    lines[1] = made.artifact(made.FAST, "fast.tflite", macs=None)
    drawn = against_macs(made.shown(lines).series)
    assert drawn is not None
    assert "1 without this cost left out" in drawn[1]
    lines[2] = made.artifact(made.SLOW, "slow.tflite", macs=None)
    assert against_macs(made.shown(lines).series) is None


def test_ratios_have_a_dot_per_process(shown: Shown) -> None:
    drawn = ratios(shown.pairs)
    assert drawn is not None
    assert len(of_class(parsed(drawn[0]), "dot")) == 10
    assert ratios(()) is None


def _profile(count: int, roof: Roofline | None = None) -> Profile:
    ops = [
        OpTime(
            name=f"op <{index}>",
            kind="Conv",
            covers=[f"op{index}"],
            median_ns=1000.0 * (index + 1),
            share=0.1,
            macs=100_000,
            mac_bytes=10_000,
        )
        for index in range(count)
    ]
    return Profile(
        artifact="net.onnx",
        artifact_sha256="c" * 64,
        runtime="onnxruntime",
        runtime_version="1",
        threads=1,
        inferences=3,
        sum_ns=10_000.0,
        ops=ops,
        untimed=[],
        notes=[],
        roofline=roof,
    )


def test_bars_are_as_long_as_times_and_the_rest_is_named() -> None:
    drawing, caption = time_bars(_profile(OPS_MAX + 2))
    widths = [float(bar.get("width") or 0) for bar in of_class(parsed(drawing), "fill")]
    assert len(widths) == OPS_MAX
    assert widths[0] / widths[-1] == pytest.approx((OPS_MAX + 2) / 3, rel=0.01)
    assert "2 more take 0.00300 ms" in caption


def test_bars_leave_out_what_shows_no_time_and_say_so() -> None:
    profile = _profile(5)
    silent = [op.model_copy(update={"median_ns": 0.0}) for op in profile.ops[:2]]
    profile = profile.model_copy(update={"ops": [*silent, *profile.ops[2:]]})
    drawing, caption = time_bars(profile)
    assert len(of_class(parsed(drawing), "fill")) == 3
    assert "2 show no time" in caption


def test_bars_show_the_least_time_under_the_roof() -> None:
    roof = Roofline(mac_per_s=4e11, bytes_per_s=2e10, kernel="k")
    # 10 kB at 20 GB/s take 0.5 µs at least; operators take 1, 2, 3 and 4 µs.
    drawing, caption = time_bars(_profile(4, roof))
    bars, marks = (of_class(parsed(drawing), each) for each in ("fill", "least"))
    start = float(bars[0].get("x") or 0)
    for bar, mark in zip(bars, marks, strict=True):
        assert float(mark.get("x1") or 0) - start == pytest.approx(
            float(bars[0].get("width") or 0) / 8, abs=0.1
        )
        assert float(mark.get("x1") or 0) < start + float(bar.get("width") or 0)
    assert "least time under the measured roof" in caption
    without, caption = time_bars(_profile(4))
    assert of_class(parsed(without), "least") == []
    assert "roof" not in caption


def test_bars_above_the_roof_have_no_mark() -> None:
    roof = Roofline(mac_per_s=1e10, bytes_per_s=2e10, kernel="k")
    # 100,000 MACs at 10 GMAC/s take 10 µs at least, and the four take no longer than 4 µs.
    assert of_class(parsed(time_bars(_profile(4, roof))[0]), "least") == []


@pytest.mark.parametrize(
    "name", ["W" * 80, "m" * 80, "漢" * 80, "Fully Connected (NC, F32) GEMM #133"]
)
def test_long_names_are_cut_in_the_middle(name: str) -> None:
    short = shortened(name, 12.0)
    assert width_ems(short) <= 12
    assert short.startswith(name[:2])
    assert short.endswith(name[-5:])
    assert shortened("conv_1", 12.0) == "conv_1"


def test_the_slowest_dots_are_named(shown: Shown) -> None:
    drawn = roofline(_profile(5))
    assert drawn is not None
    assert drawn[1].startswith("1 op <4>, 2 op <3>, 3 op <2>. ")


def test_roofline_says_how_far_an_operator_is_from_its_roof() -> None:
    roof = Roofline(mac_per_s=4e11, bytes_per_s=2e10, kernel="k")
    # 10 MACs per byte: bandwidth allows 2e11 MAC/s; 100000 MACs in 1 µs are 1e11, half of it.
    drawn = roofline(_profile(1, roof))
    assert drawn is not None
    title = of_class(parsed(drawn[0]), "s1")[0].findtext("title") or ""
    assert title.endswith("50 % of its roof")


def test_roofline_without_arithmetic_is_no_chart() -> None:
    profile = _profile(1)
    view = profile.ops[0].model_copy(update={"macs": None})
    assert roofline(profile.model_copy(update={"ops": [view]})) is None


def test_control_characters_of_names_cannot_break_the_drawing() -> None:
    lines = made.records(fast_name="a\x1b[2J\x00</svg>&.tflite")
    drawing, _ = distribution(made.shown(lines).series[0])
    assert re.search(r"[\x00-\x08\x0b-\x1f]", drawing) is None
    assert "a\\x1b[2J\\x00</svg>&.tflite" in (parsed(drawing).get("aria-label") or "")
