"""What adb says of a phone that cannot be used, as one line with what to do. Pure."""

from __future__ import annotations

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.errors import DeviceLost, DeviceUnfit

READY = "device"
"""The state of a phone that takes commands."""

_ADVICE = (
    (
        "unauthorized",
        "has not authorized this computer: unlock it and accept 'Allow USB debugging'",
    ),
    ("authorizing", "is still authorizing this computer; try again in a moment"),
    ("connecting", "is still connecting; try again in a moment"),
    (
        "permission",
        "may not be opened by this user: add a udev rule for it (Debian: apt install"
        " android-sdk-platform-tools-common, then join the group plugdev), and plug it in again",
    ),
    ("offline", "is offline: plug it in again, or run 'adb reconnect offline'"),
    ("bootloader", "is in its bootloader: run 'fastboot reboot'"),
    ("recovery", "is in recovery mode: run 'adb reboot'"),
    ("sideload", "is in sideload mode: run 'adb reboot'"),
    ("not found", "is not connected: check the cable; 'cnn-bench devices' lists what there is"),
)

_PASSING = ("connecting", "offline", "not found")
"""States of a phone that restarts, or whose cable is out: waiting may help."""


def unfit(serial: str, reason: str) -> DeviceUnfit:
    """Return the error for a phone in a state, or with a refusal of the adb server's words."""
    lowered = reason.lower()
    for word, advice in _ADVICE:
        if word in lowered:
            kind = DeviceLost if word in _PASSING else DeviceUnfit
            return kind(f"phone {clean(serial)} {advice}")
    return DeviceUnfit(f"phone {clean(serial)} cannot be used, adb says: {clean(reason)}")


def vanished(serial: str, during: str) -> DeviceLost:
    """Return the error for a phone, or an adb server, that was lost in the middle of something."""
    return DeviceLost(
        f"the connection to phone {clean(serial)} was lost during {clean(during, 60)!r}: check the"
        " cable and whether it rebooted"
    )
