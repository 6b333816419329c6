"""What a phone's services report about battery and temperature, in ``dumpsys`` form."""

from __future__ import annotations

import dataclasses

THERMAL_KINDS = {"CPU": 0, "GPU": 1, "BATTERY": 2, "SKIN": 3}
"""Numbers of ``android.hardware.thermal``'s ``TemperatureType``."""


@dataclasses.dataclass(frozen=True)
class Battery:
    """``dumpsys battery``; temperatures are in tenths of a degree there."""

    level: int = 90
    temperature_c: float = 28.0
    plugged: bool = True

    def report(self) -> str:
        plugged = "true" if self.plugged else "false"
        return (
            "Current Battery Service state:\n"
            "  AC powered: false\n"
            f"  USB powered: {plugged}\n"
            "  Wireless powered: false\n"
            "  Max charging current: 500000\n"
            f"  status: {2 if self.plugged else 3}\n"
            "  health: 2\n"
            "  present: true\n"
            f"  level: {self.level}\n"
            "  scale: 100\n"
            "  voltage: 4200\n"
            f"  temperature: {round(self.temperature_c * 10)}\n"
            "  technology: Li-ion\n"
        )


@dataclasses.dataclass(frozen=True)
class Thermal:
    """``dumpsys thermalservice``; ``status`` from 0 (none) to 6 (shutdown)."""

    status: int = 0
    skin_c: float = 30.0
    cpu_c: float = 35.0

    def report(self) -> str:
        return (
            "IsStatusOverride: false\n"
            "ThermalEventListeners:\n"
            "\tcallbacks: 2\n"
            "\tkilled: false\n"
            f"Thermal Status: {self.status}\n"
            f"Cached temperatures:\n{self._temperatures()}"
            "HAL Ready: true\n"
            "HAL connection:\n"
            "\tThermalHAL 2.0 connected: yes\n"
            f"Current temperatures from HAL:\n{self._temperatures()}"
            "Current cooling devices from HAL:\n"
        )

    def _temperatures(self) -> str:
        values = {"CPU0": ("CPU", self.cpu_c), "skin": ("SKIN", self.skin_c)}
        return "".join(
            f"\tTemperature{{mValue={celsius}, mType={THERMAL_KINDS[kind]}, mName={name},"
            f" mStatus={self.status}}}\n"
            for name, (kind, celsius) in values.items()
        )
