"""Wait, with a bound, until a phone is cool and charged enough; then name what it is not."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.adb.watch.phone_state import (
    Battery,
    Thermal,
    parse_battery,
    parse_thermal,
)

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone

LOOK_EVERY_S = 5.0
"""A look makes the phone work for some 50 ms; it cools by a degree in minutes."""

_LOOK = r"""
echo "[battery]"; dumpsys battery 2>/dev/null
echo "[thermal]"; dumpsys thermalservice 2>/dev/null
echo "[saver]"; settings get global low_power 2>/dev/null
"""


@dataclasses.dataclass(frozen=True)
class Limits:
    """``max_temperature_c`` is of skin and battery, the hotter one: throttling goes by these.

    Most phones begin to throttle at 39 to 43 °C of skin, and save power below 15 to 20 %.
    """

    max_temperature_c: float = 38.0
    min_battery_percent: float = 20.0
    wait_s: float = 300.0


@dataclasses.dataclass(frozen=True)
class State:
    """One look at a phone."""

    battery: Battery = dataclasses.field(default_factory=Battery)
    thermal: Thermal = dataclasses.field(default_factory=Thermal)
    saving: bool = False

    @property
    def temperature_c(self) -> float | None:
        """The hotter of skin and battery."""
        known = (self.battery.temperature_c, self.thermal.skin_c)
        return max((value for value in known if value is not None), default=None)


def look(phone: Phone) -> State:
    """Ask the phone how it is.

    Raises:
        DeviceLost: it is not there.
    """
    return read_look(phone.script(_LOOK).stdout.decode(errors="replace"))


def read_look(text: str) -> State:
    """Return what a look printed."""
    _, _, rest = text.partition("[battery]\n")
    battery, _, rest = rest.partition("[thermal]\n")
    thermal, _, saver = rest.partition("[saver]\n")
    return State(parse_battery(battery), parse_thermal(thermal), saver.strip() == "1")


def unmet(state: State, limits: Limits) -> list[str]:
    """Return the flag of every limit that the phone is beyond; what it does not tell is none."""
    temperature, percent = state.temperature_c, state.battery.percent
    found = {
        "hot": temperature is not None and temperature > limits.max_temperature_c,
        "low_battery": percent is not None and percent < limits.min_battery_percent,
        "thermal_throttled": (state.thermal.status or 0) > 0,
        "battery_saver": state.saving,
    }
    return [name for name, holds in found.items() if holds]


def passing(state: State, flags: list[str]) -> bool:
    """Whether time helps: a phone cools by itself, a battery fills only at a charger."""
    if "low_battery" in flags and not state.battery.charging:
        return False
    return "hot" in flags or "thermal_throttled" in flags or "low_battery" in flags


def wait_until_fit(
    phone: Phone,
    limits: Limits,
    *,
    stopping: threading.Event | None = None,
    tell: Callable[[str], None] = lambda _: None,
    look_every_s: float = LOOK_EVERY_S,
) -> tuple[list[str], State]:
    """Return the flags that are left when the phone is fit or ``limits.wait_s`` is over.

    ``tell`` is told once per look what is waited for; ``stopping`` ends the wait.

    Raises:
        DeviceLost: the phone went away.
    """
    until = time.monotonic() + limits.wait_s
    pause = stopping or threading.Event()
    while True:
        state = look(phone)
        flags = unmet(state, limits)
        left = until - time.monotonic()
        if not passing(state, flags) or left <= 0 or pause.is_set():
            return flags, state
        tell(waiting_line(state, flags, left))
        pause.wait(min(look_every_s, left))


def waiting_line(state: State, flags: list[str], left_s: float) -> str:
    """Return what a waiting person is shown."""
    known: list[str] = []
    if state.temperature_c is not None:
        known.append(f"{state.temperature_c:.1f} °C")
    if state.battery.percent is not None:
        known.append(f"battery {state.battery.percent:.0f} %")
    if state.thermal.status:
        known.append(f"thermal status {state.thermal.status}")
    return f"waiting, at most {left_s:.0f} s more: {', '.join(flags)} ({', '.join(known)})"
