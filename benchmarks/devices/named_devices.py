"""The devices that ``--device`` names: this host, and phones over adb."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.devices.kinds import DeviceKind, DeviceOptions
from cnn_export.benchmarks.machine.host_info import HOST
from cnn_export.errors import UsageError, nearest

ALL = "all"


_DEFAULT = DeviceOptions()


@functools.cache
def kinds() -> tuple[DeviceKind, ...]:
    """Return every kind of device, the host first.

    Each folder beside this file that holds a ``*_kind.py`` is one, its ``KIND``.
    """
    found = [
        f"{file.parent.name}.{file.stem}" for file in Path(__file__).parent.glob("*/*_kind.py")
    ]
    found.sort(key=lambda name: (not name.startswith(f"{HOST}."), name))
    return tuple(importlib.import_module(f"{__package__}.{name}").KIND for name in found)


def find_devices(names: Sequence[str], options: DeviceOptions = _DEFAULT) -> list[Device]:
    """Return the devices called ``names``, in their order; ``all`` is every phone.

    Raises:
        UsageError: there is none of a name, or a name leaves a choice.
        DeviceUnfit: a phone is not there, or does not take commands.
        TargetUnavailable: adb, or the app for phones, is missing.
    """
    return [device for name in names for device in _found(name, options)]


def _found(name: str, options: DeviceOptions) -> list[Device]:
    if name == ALL:
        return [device for kind in kinds() for device in kind.every(options)]
    for kind in kinds():
        if kind.means(name):
            return kind.find(name, options)
    forms = ", ".join([*(form for kind in kinds() for form in kind.forms), ALL])
    known = [*(kind.name for kind in kinds()), ALL]
    raise UsageError(f"there is no device {name!r} (known: {forms}).{nearest(name, known)}")


def require_phone_options(names: Sequence[str], given: Sequence[str]) -> None:
    """Check that options for phones are given for phones, and that the host runs alone.

    Raises:
        UsageError: an option does not concern the host, or the host stands beside other devices.
    """
    if HOST in names and len(names) > 1:
        raise UsageError(
            f"--device {HOST} is measured by itself: beside other devices it would be busy with"
            " theirs; run it in a call of its own"
        )
    if given and HOST in names:
        option = given[0].replace("_", "-")
        raise UsageError(f"--{option} is for phones; leave it out, or give --device adb")
