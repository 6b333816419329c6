"""The devices that ``--device`` names."""

from __future__ import annotations

from cnn_export.benchmarks.device import Device
from cnn_export.benchmarks.environment import HOST
from cnn_export.benchmarks.host import PATIENCE_S, HostDevice
from cnn_export.errors import UsageError, nearest


def device_names() -> list[str]:
    """Return the devices that are there now."""
    return [HOST]


def find_device(name: str, patience_s: float = PATIENCE_S) -> Device:
    """Return the device called ``name``; a worker may take ``patience_s`` besides measuring.

    Raises:
        UsageError: there is none of that name; the nearest is offered.
    """
    known = device_names()
    if name not in known:
        raise UsageError(
            f"there is no device {name!r} (known: {', '.join(known)}).{nearest(name, known)}"
        )
    return HostDevice(patience_s)
