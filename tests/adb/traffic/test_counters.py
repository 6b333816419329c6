"""Memory traffic from what simpleperf lists and reports."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.traffic.counters import (
    COUNTERS,
    NoCounters,
    counts,
    levels,
    usable,
)

L2, L3, BUS = COUNTERS
LISTING = """\
List of raw events provided by cpu pmu:
  # Please refer to "PMU common architectural and microarchitectural event numbers"
  raw-l1d-cache-refill (supported on cpu 0-7)\t\t# Attributable Level 1 data cache refill
  raw-l2d-cache-refill\t\t# Attributable Level 2 unified cache refill
  raw-l3d-cache-refill (supported on cpu 0-1,4-7)\t\t# Attributable Level 3 cache refill
  raw-bus-access (may not supported)\t\t# Bus access
"""
REPORT = """\
Performance counter statistics,
2000000,raw-l2d-cache-refill,12.345,M/sec,
500000,raw-l3d-cache-refill,25.000000%,level 3 data or unified cache refill rate,
Total test time,1.200000,seconds,
"""


def test_what_is_listed_for_these_cpus() -> None:
    assert usable(LISTING, {4, 5}) == [L2, L3]
    assert usable(LISTING, {3, 4}) == [L2]
    everywhere = LISTING.replace(" (may not supported)", "")
    assert usable(everywhere, {0}) == [L2, L3, BUS]


@pytest.mark.parametrize("listing", ["", "List of raw events\n", "raw-bus-access # at the margin"])
def test_nothing_is_listed(listing: str) -> None:
    with pytest.raises(NoCounters, match="cannot be read"):
        usable(listing, {0})


def test_a_report() -> None:
    assert counts(REPORT, [L2, L3]) == {L2.event: 2_000_000, L3.event: 500_000}
    assert counts(REPORT.replace("refill,12", "refill:u,12"), [L2])[L2.event] == 2_000_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("Total test time", "Total"), "not whole"),
        (("500000,raw-l3d-cache-refill", "x"), "no raw-l3d-cache-refill"),
        (("l2d", "l3d"), "twice"),
        (("M/sec,", "M/sec,(55%),"), "only 55 % of the time"),
        (("500000,", "-5,"), "no raw-l3d-cache-refill"),
        (("500000,", "5e5,"), "no raw-l3d-cache-refill"),
    ],
)
def test_reports_that_cannot_be_believed(change: tuple[str, str], reason: str) -> None:
    with pytest.raises(NoCounters, match=re.escape(reason)):
        counts(REPORT.replace(*change), [L2, L3])


def test_traffic_is_the_difference_of_two_processes() -> None:
    """Loading costs both the same, and cancels out."""
    loading, moved = {L2.event: 70_000, L3.event: 9_000}, {L2.event: 300, L3.event: 20}
    fewer = {event: loading[event] + 40 * moved[event] for event in loading}
    more = {event: loading[event] + 240 * moved[event] for event in loading}
    found = levels(fewer, more, 200, [L2, L3])
    assert [(level.level, level.per_inference) for level in found] == [("l2", 300), ("l3", 20)]
    assert [level.moved_bytes for level in found] == [300 * 64, 20 * 64]


def test_too_little_to_tell() -> None:
    with pytest.raises(NoCounters, match="only 9 inferences apart"):
        levels({L2.event: 1}, {L2.event: 100}, 9, [L2])
    with pytest.raises(NoCounters, match="had fewer raw-l2d-cache-refill"):
        levels({L2.event: 100}, {L2.event: 1}, 90, [L2])


@given(st.text(max_size=400), st.integers(0, 5), st.integers(0, 5))
def test_no_text_breaks_a_parser(text: str, start: int, end: int) -> None:
    for whole in (LISTING, REPORT):
        lines = whole.splitlines(keepends=True)
        lines[start : start + end] = [text]
        for said in (text, "".join(lines)):
            for read in (lambda: usable(said, {0}), lambda: counts(said, [L2])):  # noqa: B023
                with contextlib.suppress(NoCounters):
                    read()


@given(st.dictionaries(st.sampled_from(COUNTERS), st.integers(0, 10**15), min_size=1))
def test_every_report_is_read(wanted: dict) -> None:
    text = "Performance counter statistics,\n"
    text += "".join(f"{count},{c.event},1.0,K/sec,\n" for c, count in wanted.items())
    text += "Total test time,0.5,seconds,\n"
    assert counts(text, list(wanted)) == {c.event: count for c, count in wanted.items()}
