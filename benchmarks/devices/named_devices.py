"""The devices that ``--device`` names: this host, and phones over adb."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnn_export.benchmarks.devices.contract import Device
from cnn_export.benchmarks.devices.host.host import PATIENCE_S, HostDevice
from cnn_export.benchmarks.devices.host.host_info import HOST
from cnn_export.errors import UsageError, nearest

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.app.launch import Launch
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import Care

ALL = "all"


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """How to run on a device. All but ``patience_s`` is for phones.

    A worker may take ``patience_s`` besides measuring. ``app`` is the APK (``None``: the one that
    ``make app`` builds), ``launch`` how its runner is started; ``keep`` leaves the files that were
    pushed on the phone. ``care`` is how the phone is treated (``None``: as by default); ``tell``
    gets the device's name and what is waited for.
    """

    patience_s: float = PATIENCE_S
    app: Path | None = None
    launch: Launch = "app_process"
    keep: bool = False
    care: Care | None = None
    tell: Callable[[str, str], None] = lambda _, __: None


_DEFAULT = DeviceOptions()


def find_devices(names: Sequence[str], options: DeviceOptions = _DEFAULT) -> list[Device]:
    """Return the devices called ``names``, in their order; ``all`` is every phone.

    Raises:
        UsageError: there is none of a name, a name leaves a choice, or a device comes twice.
        DeviceUnfit: a phone is not there, or does not take commands.
        TargetUnavailable: adb, or the app for phones, is missing.
    """
    devices: list[Device] = []
    phones: set[tuple[str, str]] = set()
    for name in names:
        if name == HOST:
            devices.append(HostDevice(options.patience_s))
            continue
        for phone in _phones(name):
            key = (str(phone.server), phone.serial)
            if key in phones:
                raise UsageError(f"--device names phone {phone.name} twice; give it once")
            phones.add(key)
            devices.append(_adb_device(phone, options))
    return devices


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


def _phones(name: str) -> list[Phone]:
    from cnn_export.benchmarks.devices.adb.connection.addresses import (
        PREFIX,
        every_phone,
        find_phone,
        is_adb,
    )

    if name == ALL:
        return every_phone()
    if is_adb(name):
        return [find_phone(name)]
    known = [HOST, PREFIX, ALL]
    raise UsageError(
        f"there is no device {name!r} (known: {HOST}, {PREFIX}, {PREFIX}:SERIAL,"
        f" {PREFIX}:HOST:PORT/SERIAL, {ALL}).{nearest(name, known)}"
    )


def _adb_device(phone: Phone, options: DeviceOptions) -> Device:
    from cnn_export.benchmarks.devices.adb.app.app_package import read_app
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import Care
    from cnn_export.benchmarks.devices.adb.phone_device import AdbDevice

    return AdbDevice(
        phone,
        read_app(options.app),
        options.launch,
        options.patience_s,
        options.keep,
        options.care or Care(),
        functools.partial(options.tell, phone.name),
    )
