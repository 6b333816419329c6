"""Phones over adb among the kinds of devices."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cnn_export.errors import ExportError

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone
    from cnn_export.benchmarks.devices.contract import Device
    from cnn_export.benchmarks.devices.kinds import DeviceOptions

_PREFIX = "adb"


class AdbKind:
    """The phones that an adb server sees."""

    name = _PREFIX
    forms = (_PREFIX, f"{_PREFIX}:SERIAL", f"{_PREFIX}:HOST:PORT/SERIAL")

    def means(self, name: str) -> bool:
        """Whether a phone is meant."""
        return name == _PREFIX or name.startswith(f"{_PREFIX}:")

    def find(self, name: str, options: DeviceOptions) -> list[Device]:
        """Return the phone of a name.

        Raises:
            UsageError: the name is wrong, or leaves a choice between several phones.
            DeviceUnfit: the phone is not there, or does not take commands.
            TargetUnavailable: there is no adb, or no app for phones.
        """
        from cnn_export.benchmarks.devices.adb.connection.addresses import find_phone

        return [_device(find_phone(name), options)]

    def every(self, options: DeviceOptions) -> list[Device]:
        """Return all phones of the local server.

        Raises:
            DeviceUnfit: there is none, or one does not take commands.
            TargetUnavailable: there is no adb, or no app for phones.
        """
        from cnn_export.benchmarks.devices.adb.connection.addresses import every_phone

        return [_device(phone, options) for phone in every_phone()]

    def listed(self) -> tuple[list[dict[str, Any]], str]:
        """Return each phone that the local adb server sees, and why there is none.

        A phone that cannot be used has its ``state`` and, as ``problem``, what to do about it.
        """
        from cnn_export.benchmarks.devices.adb.connection.phone import Phone
        from cnn_export.benchmarks.devices.adb.connection.server import local_server

        try:
            server = local_server()
            listing = server.devices()
        except ExportError as error:
            return [], str(error)
        found = [_listed(Phone(server, serial), state) for serial, state in listing]
        return found, "" if found else f"the adb server at {server} sees no phone"

    def rows(self, listed: dict[str, Any]) -> Iterator[str]:
        """Yield a phone in words."""
        if "problem" in listed:
            yield f"{listed['state']}: {listed['problem']}"
            return
        yield f"{listed['model']}, {listed['soc'] or 'unknown chip'}"
        yield (
            f"Android {listed['release']}, API level {listed['api_level']},"
            f" {', '.join(listed['abis'])}, kernel {listed['kernel']}"
        )
        memory = f"{listed['memory_bytes'] / 1e9:.1f} GB"
        yield f"{listed['cpus']} CPUs: {_clusters(listed['clusters'])}; {memory}"
        yield ", ".join(_state(listed))


KIND = AdbKind()


def _device(phone: Phone, options: DeviceOptions) -> Device:
    from cnn_export.benchmarks.devices.adb.app.app_package import read_app
    from cnn_export.benchmarks.devices.adb.lifecycle.phone_lifecycle import PhonePolicy
    from cnn_export.benchmarks.devices.adb.phone_device import AdbDevice

    return AdbDevice(
        phone,
        read_app(options.app),
        options.launch,
        options.patience_s,
        options.keep,
        options.policy or PhonePolicy(),
        functools.partial(options.tell, phone.name),
    )


def _listed(phone: Phone, state: str) -> dict[str, Any]:
    from cnn_export.benchmarks.devices.adb.connection.device_text import clean
    from cnn_export.benchmarks.devices.adb.connection.refusals import READY, unfit

    found: dict[str, Any] = {"id": phone.name, "kind": "adb", "state": clean(state, 40)}
    if state != READY:
        return found | {"problem": str(unfit(phone.serial, state))}
    try:
        return found | _described(phone)
    except ExportError as error:
        return found | {"problem": str(error)}


def _described(phone: Phone) -> dict[str, Any]:
    from cnn_export.benchmarks.devices.adb.clusters import clusters
    from cnn_export.benchmarks.devices.adb.lifecycle.waiting import look
    from cnn_export.benchmarks.devices.adb.phone_info import read_phone_info

    info, now = read_phone_info(phone), look(phone)
    return {
        "model": info.model,
        "soc": info.soc,
        "abis": list(info.abis),
        "api_level": info.api_level,
        "release": info.release,
        "build": info.build,
        "kernel": info.kernel,
        "cpus": len(info.cpus),
        "clusters": [
            {"cpus": [core.number for core in group], "max_khz": group[0].max_khz}
            for group in clusters(info.cores)
        ],
        "memory_bytes": info.memory_bytes,
        "governor": info.governor,
        "battery_percent": now.battery.percent,
        "charging": now.battery.charging,
        "temperature_c": now.temperature_c,
        "thermal_status": now.thermal.status,
    }


def _clusters(groups: Sequence[dict[str, Any]]) -> str:
    from cnn_export.benchmarks.devices.adb.clusters import spans

    return ", ".join(
        f"{len(group['cpus'])}"
        + (f" at {group['max_khz'] / 1e6:.2f} GHz" if group["max_khz"] else "")
        + f" ({spans(group['cpus'])})"
        for group in groups
    )


def _state(listed: dict[str, Any]) -> Iterator[str]:
    def told(value: float | None, unit: str) -> str:
        return "unknown" if value is None else f"{value:.0f}{unit}"

    charging = {True: ", charging", False: ", not charging", None: ""}[listed["charging"]]
    yield f"battery {told(listed['battery_percent'], ' %')}{charging}"
    yield f"temperature {told(listed['temperature_c'], ' °C')}"
    yield f"thermal status {told(listed['thermal_status'], '')}"
    yield f"governor {listed['governor'] or 'unknown'}"
