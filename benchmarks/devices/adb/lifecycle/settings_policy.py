"""What is changed on a phone for the time of a run, and what of it this phone can do. Pure.

Applied, recorded and undone by :mod:`cnn_export.benchmarks.devices.adb.lifecycle.settings_guard`.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from cnn_export.benchmarks.results.record_types import FIXED_PERFORMANCE, SettingChange
from cnn_export.errors import UsageError

FixedPerformance = Literal["auto", "on", "off"]
FIXED_PERFORMANCE_CHOICES: tuple[str, ...] = get_args(FixedPerformance)
FIXED_PERFORMANCE_API = 30
"""Android 11: the first with ``cmd power set-fixed-performance-mode-enabled``."""

STAY_ON = "stay_on_while_plugged_in"
SCREEN_OFF = "screen_off_timeout"
SCREEN = "screen"
NAMES = (STAY_ON, SCREEN_OFF, SCREEN, FIXED_PERFORMANCE)
UNKNOWN = "unknown"
"""The earlier value of what Android lets nobody read."""

_EVERY_CHARGER = "7"
"""Bits of ``BatteryManager``: AC 1, USB 2, wireless 4."""
_HALF_AN_HOUR_MS = "1800000"


@dataclasses.dataclass(frozen=True)
class SettingsPolicy:
    """``fixed_performance`` ``auto``: on where the phone has it.

    That is the default because clocks that follow heat and load make identical code differ by
    9–51 % on phones; held at what the phone can sustain, its figures can be compared. ``awake``
    lights the screen and keeps it on: a phone that dozes suspends its processor.
    """

    fixed_performance: FixedPerformance = "auto"
    awake: bool = True


def wanted_changes(
    settings: SettingsPolicy, api_level: int | None, *, charging: bool | None
) -> list[str]:
    """Return ``NAME=VALUE`` for each change to try, in the order to make them.

    The display's time-out is touched only without a charger, where ``stay_on`` does nothing.

    Raises:
        UsageError: fixed performance was asked for, and the phone is too old for it.
    """
    wanted: list[str] = []
    if settings.awake:
        wanted += [f"{STAY_ON}={_EVERY_CHARGER}", f"{SCREEN}=on"]
        wanted += [] if charging else [f"{SCREEN_OFF}={_HALF_AN_HOUR_MS}"]
    if _fixes_performance(settings, api_level):
        wanted.append(f"{FIXED_PERFORMANCE}=on")
    return wanted


def require_granted(settings: SettingsPolicy, changes: list[SettingChange], reason: str) -> None:
    """Check that what was asked for by name was done; ``reason`` is what the phone said.

    Raises:
        UsageError: fixed performance was not.
    """
    granted = any(change.name == FIXED_PERFORMANCE for change in changes)
    if settings.fixed_performance == "on" and not granted:
        raise UsageError(
            f"the phone does not switch fixed-performance mode on ({reason or 'no reason given'});"
            " leave --fixed-performance out"
        )


def _fixes_performance(settings: SettingsPolicy, api_level: int | None) -> bool:
    if settings.fixed_performance == "off":
        return False
    new_enough = api_level is not None and api_level >= FIXED_PERFORMANCE_API
    if settings.fixed_performance == "on" and not new_enough:
        raise UsageError(
            f"--fixed-performance on needs Android 11 (API level {FIXED_PERFORMANCE_API}), this"
            f" phone has API level {'unknown' if api_level is None else api_level}; leave it out"
        )
    return new_enough
