"""Wait for a phone to be fit, with a bound, and name what it is not."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import pytest
from local_phone import BATTERY, THERMAL, LocalPhone

from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.lifecycle.waiting import (
    Limits,
    State,
    look,
    passing,
    read_look,
    unmet,
    wait_until_fit,
)
from cnn_export.benchmarks.devices.adb.watch.phone_state import Battery, Thermal
from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS

NO_WAIT = Limits(wait_s=0.0)
HOT = "Thermal Status: 2\nCurrent temperatures from HAL:\n"
HOT += "Temperature{mValue=41.0, mType=3, mName=SKIN, mStatus=2}\n"


@pytest.fixture
def phone(tmp_path: Path) -> LocalPhone:
    return LocalPhone(tmp_path)


def _adb(phone: LocalPhone) -> Phone:
    return cast(Phone, phone)


def test_a_look_asks_battery_skin_and_saver(phone: LocalPhone) -> None:
    phone.write("dumpsys.thermalservice", HOT)
    phone.write("global.low_power", "1")
    state = look(_adb(phone))
    assert state == State(Battery(80.0, 29.0, charging=True), Thermal(2, 41.0), saving=True)
    assert state.temperature_c == 41.0


def test_a_phone_that_tells_nothing_is_not_unfit(phone: LocalPhone) -> None:
    phone.write("dumpsys.battery", "Can't find service: battery")
    phone.write("dumpsys.thermalservice", "")
    assert wait_until_fit(_adb(phone), NO_WAIT) == ([], State())


@pytest.mark.parametrize(
    ("state", "flags", "helps"),
    [
        (State(Battery(20.0, 38.0)), [], False),
        (State(Battery(19.9, 20.0)), ["low_battery"], False),
        (State(Battery(19.9, 20.0, charging=True)), ["low_battery"], True),
        (State(Battery(80.0, 38.1)), ["hot"], True),
        (State(Battery(80.0, 20.0), Thermal(0, 38.1)), ["hot"], True),
        (State(thermal=Thermal(1)), ["thermal_throttled"], True),
        (State(saving=True), ["battery_saver"], False),
        # An hour of cooling would not charge it: nothing is gained by waiting.
        (State(Battery(5.0, 50.0, charging=False)), ["hot", "low_battery"], False),
    ],
)
def test_limits_and_what_waiting_helps(state: State, flags: list[str], helps: bool) -> None:
    assert unmet(state, Limits()) == flags
    assert passing(state, flags) is helps
    assert set(flags) <= EXPLANATIONS.keys()


def test_a_phone_that_cools_is_waited_for(phone: LocalPhone) -> None:
    phone.write("dumpsys.thermalservice", HOT)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        phone.write("dumpsys.thermalservice", THERMAL)

    flags, state = wait_until_fit(_adb(phone), Limits(), tell=tell, look_every_s=0.01)
    assert (flags, state.thermal) == ([], Thermal(0))
    [line] = told
    assert line.startswith("waiting, at most 300 s more: hot, thermal_throttled (41.0 °C, battery")
    assert line.endswith("battery 80 %, thermal status 2)")


def test_the_wait_has_an_end(phone: LocalPhone) -> None:
    phone.write("dumpsys.battery", BATTERY.replace("290", "450"))
    limits = Limits(wait_s=0.2)
    assert wait_until_fit(_adb(phone), limits, look_every_s=0.05)[0] == ["hot"]


def test_an_empty_battery_without_a_charger_is_not_waited_for(phone: LocalPhone) -> None:
    phone.write("dumpsys.battery", "  AC powered: false\n  status: 3\n  level: 7\n")
    told: list[str] = []
    assert wait_until_fit(_adb(phone), Limits(), tell=told.append)[0] == ["low_battery"]
    assert told == []


def test_a_stop_ends_the_wait(phone: LocalPhone) -> None:
    phone.write("dumpsys.thermalservice", HOT)
    stopping = threading.Event()
    found = wait_until_fit(_adb(phone), Limits(), stopping=stopping, tell=lambda _: stopping.set())
    assert found[0] == ["hot", "thermal_throttled"]


@pytest.mark.parametrize("text", ["", "[battery]\n", "[thermal]\n[saver]\n1\n", "\0\n[saver]"])
def test_a_broken_look_is_an_empty_one(text: str) -> None:
    assert read_look(text) == State()
