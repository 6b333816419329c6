"""From what the watching loop says to conditions and flags."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_sessions import session_of

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.watch.phone_fitness import (
    last_busy_s,
    phone_conditions,
    timed_part,
    timed_seconds,
    watcher_load,
)
from cnn_export.benchmarks.devices.adb.watch.watcher import Watcher
from cnn_export.benchmarks.devices.adb.watch.watcher_output import Cluster, Reader, Round, celsius
from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS
from cnn_export.benchmarks.results.protocol import End, MemoryUse, PairSample

LITTLE, BIG = Cluster((0, 1, 2, 3), 1_800_000), Cluster((4, 5, 6, 7), 2_850_000)
CLUSTERS = {0: LITTLE, 1: BIG}
STEADY = Round(
    at_s=0.0,
    clocks_khz={0: 600_000, 1: 2_400_000},
    caps_khz={0: 1_800_000, 1: 2_850_000},
    heats_c=(41.0, 44.5),
    columns=(1000, 0, 100, 9000, 0, 0, 0, 0),
    own_ticks=5,
    timed_ticks=50,
)
PROCESS = "4242 (Main (a) b) S 1 2 3 0 -1 4 5 6 7 8 150 25 7 3 20 0 12 0 99 0 0\n"


def _rounds(*changes: dict[str, object]) -> list[Round]:
    return [
        dataclasses.replace(STEADY, at_s=0.2 * n, **each)  # pyright: ignore[reportArgumentType]
        for n, each in enumerate(changes)
    ]


def _flags(rounds: list[Round], cpus: tuple[int, ...] = ()) -> list[str]:
    return phone_conditions(rounds, CLUSTERS, cpus).flags


def test_a_whole_conversation_is_read() -> None:
    reader = Reader()
    lines = f"""cluster 0 1800000 0 1 2 3
cluster 1 2850000 4 5 6 7
zone 0 cpu-0-0
watching
round
clock 0 600000
clock 1 2400000
cap 0 1800000
cap 1 2850000
heat 0 41000
heat 1 44500
stat cpu  1000 0 100 9000 0 0 0 0 0 0
own 17 (sh) S {" ".join(["0"] * 10)} 2 1 1 1 0 0
timed {PROCESS.strip()}
over
round
clock 1 2300000
"""
    for line in lines.splitlines():
        reader.take(line.encode() + b"\r\n", 7.0)
    assert reader.watching
    assert reader.clusters == CLUSTERS
    assert (reader.clusters[0].name, Cluster((2, 0), 1).name, Cluster((7,), 1).name) == (
        "0-3",
        "0,2",
        "7",
    )
    [found] = reader.rounds  # the second round is not over
    expected = dataclasses.replace(
        STEADY, at_s=7.0, timed_ticks=175, columns=(*STEADY.columns, 0, 0)
    )
    assert found == expected


def test_a_steady_phone_has_no_flag() -> None:
    found = phone_conditions(_rounds({}, {}, {}), CLUSTERS)
    assert found.flags == []
    assert found.clock_khz == [2_400_000] * 3
    assert found.cluster_khz == {"0-3": [600_000] * 3, "4-7": [2_400_000] * 3}
    assert found.temperature_c == [44.5] * 3
    assert phone_conditions(_rounds({}), {0: BIG}).cluster_khz is None


def test_the_clock_that_counts_is_that_of_the_bound_cpus() -> None:
    """The little cluster idles up and down while a big core works."""
    moving = _rounds(
        {"clocks_khz": {0: 300_000, 1: 2_400_000}}, {"clocks_khz": {0: 900_000, 1: 2_400_000}}
    )
    assert _flags(moving) == []
    assert _flags(moving, (4, 5)) == []
    assert _flags(moving, (2,)) == ["clock_moved"]


@pytest.mark.parametrize(
    ("khz", "flags"), [(2_280_001, []), (2_280_000, []), (2_279_000, ["clock_moved"])]
)
def test_the_hosts_threshold_of_five_percent_holds(khz: int, flags: list[str]) -> None:
    assert _flags(_rounds({}, {"clocks_khz": {0: 1, 1: khz}})) == flags


def test_a_lowered_cap_is_throttling_and_a_raised_one_is_not() -> None:
    lower, higher = {0: 1_800_000, 1: 2_600_000}, {0: 1_800_000, 1: 2_900_000}
    assert _flags(_rounds({}, {"caps_khz": lower})) == ["throttled"]
    assert _flags(_rounds({}, {"caps_khz": lower}, {})) == ["throttled"]
    assert _flags(_rounds({}, {"caps_khz": higher})) == []
    assert _flags(_rounds({}, {"caps_khz": {0: 1_800_000}}, {"caps_khz": {}})) == []


def test_load_of_others_is_what_neither_process_nor_watcher_used() -> None:
    after = {"columns": (1160, 0, 100, 9640, 0, 0, 0, 0), "own_ticks": 6, "timed_ticks": 149}
    found = phone_conditions(_rounds({}, after), CLUSTERS)
    assert found.others_load == 0.075  # (160 - 1 - 99) of 800
    assert found.flags == []
    busier = after | {"timed_ticks": 100}
    assert _flags(_rounds({}, busier)) == ["others_busy"]


@pytest.mark.parametrize("unknown", [{"timed_ticks": None}, {"own_ticks": None}, {"columns": ()}])
def test_nothing_is_said_of_others_where_own_time_is_unknown(unknown: dict[str, object]) -> None:
    after = {"columns": (1760, 0, 100, 9040, 0, 0, 0, 0)}
    found = phone_conditions(_rounds(unknown, after | unknown), CLUSTERS)
    assert (found.others_load, found.flags) == (None, [])


def test_warm_up_is_left_out_where_the_timed_part_is_known() -> None:
    """Ramping up at first is what a warm-up is for."""
    rounds = [dataclasses.replace(STEADY, at_s=at) for at in (0.9, 1.1, 1.5, 1.9, 2.1)]
    assert [r.at_s for r in timed_part(rounds, 1.0, 2.0, None)] == [1.1, 1.5, 1.9]
    assert [r.at_s for r in timed_part(rounds, 1.0, 2.0, 0.5)] == [1.5, 1.9]
    assert [r.at_s for r in timed_part(rounds, 1.0, 2.0, 5.0)] == [1.1, 1.5, 1.9]


def test_a_late_report_is_timed_until_the_process_was_last_busy() -> None:
    """Fifteen ticks in 0.2 s are a busy core; the app then waits for its report to be fetched."""
    ticks = (0, 15, 32, 50, 53, 54)
    rounds = _rounds(*({"timed_ticks": each} for each in ticks))
    assert last_busy_s(rounds) == pytest.approx(0.4)
    assert last_busy_s(_rounds({"timed_ticks": None}, {"timed_ticks": 90})) is None
    assert last_busy_s(_rounds({}, {})) is None


class _Loop:
    """A watching loop's stream: a process that is busy for 0.4 s, and idles at a lower clock."""

    def start(self, _: list[str]) -> _Loop:
        return self

    def close(self) -> None:
        pass

    def lines(self) -> Iterator[bytes]:
        yield from (b"cluster 0 2850000 0 1\n", b"watching\n")
        begin_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begin_s) < 0.8:
            ticks = round(100 * min(elapsed_s, 0.4))
            khz = 2_400_000 if elapsed_s < 0.4 else 500_000
            zeros = " ".join("0" * 10)
            timed = f"timed 7 (app) S {zeros} {ticks} 0"
            yield from (b"round", f"clock 0 {khz}".encode(), timed.encode(), b"over")
            time.sleep(0.02)


def test_a_late_report_is_judged_by_the_time_before_it() -> None:
    """An activity's report is fetched when all is over; the clock has fallen by then."""
    with Watcher(cast(Phone, _Loop())) as watcher:
        watcher.begin_unheard()
        time.sleep(1.0)
        watcher.finish()
    found = watcher.conditions(timed_s=0.2)
    assert len(found.clock_khz) >= 2
    assert set(found.clock_khz) == {2_400_000}
    assert found.flags == []


@pytest.mark.parametrize(("timed_s", "flags"), [(0.01, []), (0.6, ["unwatched"])])
def test_a_timed_part_without_a_look_is_named_unless_it_is_short(
    timed_s: float, flags: list[str]
) -> None:
    with Watcher(cast(Phone, _Loop())) as watcher:
        time.sleep(0.9)  # the loop has ended by now
        watcher.begin()
        watcher.finish()
    assert watcher.conditions(timed_s=timed_s).flags == flags


def test_the_timed_part_is_as_long_as_its_samples() -> None:
    session = session_of(0.5)
    assert timed_seconds(session) == pytest.approx(0.5, abs=1e-6)
    pairs = (PairSample(a_ns=10**8, b_ns=10**8), PairSample(a_ns=10**8, b_ns=2 * 10**8))
    paired = dataclasses.replace(session, measurements=pairs, end=End(count=2))
    assert timed_seconds(paired) == pytest.approx(0.5)
    memory = (MemoryUse(peak_rss_bytes=2, baseline_rss_bytes=1),)
    assert timed_seconds(dataclasses.replace(session, measurements=memory)) is None


def test_the_watcher_tells_its_own_cost() -> None:
    rounds = _rounds({"own_ticks": 10}, {"own_ticks": None}, {"own_ticks": 12})
    assert watcher_load(rounds) == 0.05  # 20 ms of 400
    assert watcher_load(rounds[:1]) is None
    assert watcher_load([]) is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [(36500, 36.5), (365, 36.5), (36, 36.0), (0, None), (-40000, None), (2_000_000, None)],
)
def test_heat_comes_in_several_units(raw: int, value: float | None) -> None:
    assert celsius(raw) == value


def test_every_flag_is_explained() -> None:
    flags = {"hot", "low_battery", "battery_saver", "thermal_throttled", "unwatched", "throttled"}
    assert flags <= EXPLANATIONS.keys()


_KNOWN = b"cluster clock cap heat stat own timed cpu round over watching 0 1 -5 (x) )".split()
_WORDS = st.sampled_from([*_KNOWN, b"9" * 30, b"\n", b" ", b"\x1b[2J", b"\xff"])


@given(st.lists(_WORDS | st.binary(max_size=6), max_size=120).map(b" ".join))
def test_no_output_breaks_the_reader(output: bytes) -> None:
    reader = Reader()
    for at, line in enumerate(output.split(b"\n")):
        reader.take(line.strip(b" "), float(at))
    found = phone_conditions(reader.rounds, reader.clusters, (1,))
    assert all(khz > 0 for khz in found.clock_khz)
    assert all(0 < heat <= 150 for heat in found.temperature_c)
    watcher_load(reader.rounds)
