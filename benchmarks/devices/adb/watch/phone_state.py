"""What ``dumpsys battery`` and ``dumpsys thermalservice`` say. Pure.

Vendors add lines, leave lines out and report sensors that are not there as 0; whatever cannot be
read is ``None``, never a guess.
"""

from __future__ import annotations

import dataclasses
import re

TEXT_MAX = 65_536
"""Characters of a dump that are looked at; real ones have a few thousand."""

_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_STATUS = re.compile(r"Thermal Status:[ \t]*(\d{1,3})\b", re.ASCII)
_SENSOR = re.compile(r"Temperature\{([^{}\n]{1,300})\}")
_CURRENT = "Current temperatures from HAL"
_SKIN = 3
"""``Temperature.TYPE_SKIN``: what the framework throttles by."""
_PLAUSIBLE_C = (0.0, 150.0)
"""Sensors that are not fitted report 0 or less."""
_STATUS_MAX = 6
"""``PowerManager.THERMAL_STATUS_SHUTDOWN``."""
_CHARGING_STATUS = {2, 5}
"""``BatteryManager``'s charging and full."""


@dataclasses.dataclass(frozen=True)
class Battery:
    """``charging`` is whether a charger is connected, whether or not the level rises."""

    percent: float | None = None
    temperature_c: float | None = None
    charging: bool | None = None


@dataclasses.dataclass(frozen=True)
class Thermal:
    """``status`` is Android's, from 0 (none) to 6 (shutdown)."""

    status: int | None = None
    skin_c: float | None = None


def parse_battery(text: str) -> Battery:
    """Return the battery's state; of a key that occurs twice, the first counts."""
    fields: dict[str, str] = {}
    for line in text[:TEXT_MAX].splitlines():
        key, colon, value = line.partition(":")
        if colon:
            # Later lines hold an event log on some phones: it is old.
            fields.setdefault(key.strip().lower(), value.strip().lower())
    return Battery(_percent(fields), _temperature_c(fields), _charging(fields))


def parse_thermal(text: str) -> Thermal:
    """Return the thermal status and the hottest skin sensor.

    Current values count; the cached ones only where the service prints nothing else.
    """
    text = text[:TEXT_MAX]
    found = _STATUS.search(text)
    status = int(found.group(1)) if found else None
    _, marker, current = text.partition(_CURRENT)
    skins = _skins(current) if marker else []
    return Thermal(
        status=status if status is not None and status <= _STATUS_MAX else None,
        skin_c=max(skins or _skins(text), default=None),
    )


def _skins(text: str) -> list[float]:
    values: list[float] = []
    for match in _SENSOR.finditer(text):
        parts = [part.strip().partition("=") for part in match.group(1).split(",")]
        fields = {key: value for key, _, value in parts}
        value = _number(fields.get("mValue"))
        if _number(fields.get("mType")) == _SKIN and value is not None:
            values.append(value)
    return [value for value in values if _plausible(value) is not None]


def _percent(fields: dict[str, str]) -> float | None:
    level, scale = _number(fields.get("level")), _number(fields.get("scale")) or 100.0
    share = None if level is None else 100 * level / scale
    return share if share is not None and 0 <= share <= 100 else None


def _temperature_c(fields: dict[str, str]) -> float | None:
    tenths = _number(fields.get("temperature"))
    return None if tenths is None else _plausible(tenths / 10)


def _charging(fields: dict[str, str]) -> bool | None:
    powered = [value for key, value in fields.items() if key.endswith(" powered")]
    if powered:
        return "true" in powered
    status = _number(fields.get("status"))
    return None if status is None else status in _CHARGING_STATUS


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _plausible(celsius: float) -> float | None:
    return celsius if _PLAUSIBLE_C[0] < celsius <= _PLAUSIBLE_C[1] else None
