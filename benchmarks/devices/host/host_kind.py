"""This host among the kinds of devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cnn_export.benchmarks.machine.host_info import HOST

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.contract import Device
    from cnn_export.benchmarks.devices.kinds import DeviceOptions


class HostKind:
    """The one host."""

    name = HOST
    forms = (HOST,)

    def means(self, name: str) -> bool:
        """Whether it is the host's name."""
        return name == HOST

    def find(self, name: str, options: DeviceOptions) -> list[Device]:
        """Return the host."""
        from cnn_export.benchmarks.devices.host.host import HostDevice

        del name
        return [HostDevice(options.patience_s)]

    def every(self, options: DeviceOptions) -> list[Device]:
        """Return none: the host is measured by itself, so ``all`` leaves it out."""
        del options
        return []

    def listed(self) -> tuple[list[dict[str, Any]], str]:
        """Return what the host is, and what disturbs it right now."""
        from cnn_export.benchmarks.devices.host.host import HostDevice

        device = HostDevice()
        info = device.describe().model_dump(exclude_none=True)
        return [{**info, "governor": info.get("governor"), "flags": device.unfit(1, ())}], ""

    def rows(self, listed: dict[str, Any]) -> Iterator[str]:
        """Yield the host in words."""
        from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS

        yield f"{listed['model']}, {listed['cpus']} CPUs"
        yield f"{listed['memory_bytes'] / 1e9:.1f} GB, {listed['system']}"
        if listed["governor"]:
            yield f"governor {listed['governor']}"
        for flag in listed["flags"]:
            yield f"{flag}: {EXPLANATIONS.get(flag, '')}"


KIND = HostKind()
