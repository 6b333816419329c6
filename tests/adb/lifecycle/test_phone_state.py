"""What dumpsys says, from several vendors and from nobody's phone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.watch.phone_state import (
    Battery,
    Thermal,
    parse_battery,
    parse_thermal,
)

AOSP = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Charge counter: 3270000
  status: 5
  health: 2
  present: true
  level: 100
  scale: 100
  voltage: 4352
  temperature: 274
  technology: Li-ion
"""
WITH_EVENT_LOG = """Current Battery Service state:
  (UPDATES STOPPED -- use 'reset' to restart)
  AC powered: false
  USB powered: false
  status: 3
  level: 75
  scale: 100
  temperature: 357
  Capacity level: -1
[EventLogBuffer]
08-11 18:34:14.721  Sending ACTION_BATTERY_CHANGED: level:72, health:2, temperature:345
  level: 12
"""
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 4
Thermal Status: 1
Cached temperatures:
\tTemperature{mValue=0.0, mType=2, mName=SUBBAT, mStatus=0}
\tTemperature{mValue=48.5, mType=3, mName=SKIN, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=57.9, mType=0, mName=CPU, mStatus=0}
\tTemperature{mValue=34.351, mType=3, mName=SKIN, mStatus=0}
\tTemperature{mValue=33.0, mType=3, mName=skin, rear {glass}, mStatus=0}
\tTemperature{mValue=NaN, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
\tTemperature{mValue=-273.1, mType=3, mName=unfitted, mStatus=0}
Temperature static thresholds from HAL:
\tTemperatureThreshold{mType=3, mName=SKIN, mHotThrottlingThresholds=[NaN, 50.0]}
"""


@pytest.mark.parametrize(
    ("text", "battery"),
    [
        (AOSP, Battery(100.0, 27.4, charging=True)),
        (AOSP.replace("\n", "\r\n"), Battery(100.0, 27.4, charging=True)),
        (WITH_EVENT_LOG, Battery(75.0, 35.7, charging=False)),
        ("  level: 30\n  scale: 200\n  status: 2\n", Battery(15.0, None, charging=True)),
        ("  level: 0\n", Battery(0.0)),
        ("  level: -1\n  temperature: 0\n", Battery()),
        ("  level: 101\n  scale: 0\n  temperature: 9999\n", Battery()),
        ("  level: 1e2\n  temperature: 0x1f\n", Battery()),
        ("Can't find service: battery\n", Battery()),
        ("", Battery()),
    ],
)
def test_batteries(text: str, battery: Battery) -> None:
    assert parse_battery(text) == battery


def test_the_current_skin_counts_and_unfitted_sensors_do_not() -> None:
    assert parse_thermal(THERMAL) == Thermal(status=1, skin_c=34.351)


@pytest.mark.parametrize(
    ("text", "thermal"),
    [
        (THERMAL.partition("HAL Ready")[0], Thermal(1, 48.5)),
        ("Thermal Status: 7\n", Thermal()),
        ("Thermal Status: 99999999\n", Thermal()),
        ("Thermal Status: \u0663\n", Thermal()),
        ("Temperature{mValue=31.5, mStatus=0}\n", Thermal()),
        ("Temperature{mType=3,mValue=31.5}\n", Thermal(skin_c=31.5)),
        ("Temperature{" + "x" * 100_000 + "}", Thermal()),
    ],
)
def test_thermal_services(text: str, thermal: Thermal) -> None:
    assert parse_thermal(text) == thermal


_KEYS = "level:,scale:,temperature:,status:,AC powered:,Thermal Status:,Temperature{mValue="
_VALUES = "true|-|1|0|.|NaN|inf|²|٣|:|=|, mType=3|}|Current temperatures from HAL| "
_HOSTILE = ["\n", "\r", "\0", "\x1b[2J", "9" * 40]
_WORDS = st.sampled_from([*_KEYS.split(","), *_VALUES.split("|"), *_HOSTILE])


@given(st.lists(_WORDS | st.text(max_size=5), max_size=60).map("".join))
def test_no_text_breaks_the_readers(text: str) -> None:
    battery, thermal = parse_battery(text), parse_thermal(text)
    assert battery.percent is None or 0 <= battery.percent <= 100
    for celsius in (battery.temperature_c, thermal.skin_c):
        assert celsius is None or 0 < celsius <= 150
    assert thermal.status is None or 0 <= thermal.status <= 6
