"""``adb``, ``adb:SERIAL``, ``adb:HOST:PORT/SERIAL``: which phone of which adb server is meant."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence

from cnn_export.benchmarks.devices.adb.connection.device_text import clean
from cnn_export.benchmarks.devices.adb.connection.phone import Phone
from cnn_export.benchmarks.devices.adb.connection.refusals import READY, unfit
from cnn_export.benchmarks.devices.adb.connection.server import AdbServer, local_server
from cnn_export.errors import DeviceUnfit, UsageError, nearest

# A host is a name, an IPv4 address, or an IPv6 one in brackets.
_REMOTE = re.compile(r"(?P<host>\[[^\[\]/]+\]|[^\[\]/:\s]+):(?P<port>\d{1,5})/(?P<serial>.*)", re.S)
_NETWORK_SERIAL = re.compile(r"(\[[^\[\]]+\]|[^\[\]:\s]+):\d{1,5}")


@dataclasses.dataclass(frozen=True)
class Address:
    """``server`` ``None`` is the local one, ``serial`` ``None`` its only phone."""

    server: AdbServer | None = None
    serial: str | None = None


def parse_address(name: str) -> Address:
    """Read the name of a phone.

    Raises:
        UsageError: it has no serial after ``adb:``, or no possible port.
    """
    _, colon, rest = name.partition(":")
    if not colon:
        return Address()
    if not rest:
        raise UsageError(
            "--device adb: has no serial; write adb, adb:SERIAL or adb:HOST:PORT/SERIAL"
        )
    remote = _REMOTE.fullmatch(rest)
    if remote is None:
        return Address(serial=rest)
    host, port = remote["host"].strip("[]"), int(remote["port"])
    if not 0 < port < 2**16:
        raise UsageError(f"--device {name}: {port} is no port of an adb server, such as 5037")
    return Address(AdbServer(host, port, remote=True), remote["serial"] or None)


def find_phone(name: str) -> Phone:
    """Return the phone that a name means; it is there and takes commands.

    Raises:
        UsageError: the name is wrong, or leaves a choice between several phones.
        DeviceUnfit: the phone is not there, or does not take commands; says what to do.
        TargetUnavailable: there is no adb.
    """
    address = parse_address(name)
    server = address.server or local_server()
    serial = address.serial
    if serial is None and address.server is None:
        serial = os.environ.get("ANDROID_SERIAL") or None  # as adb itself does
    return Phone(server, chosen(server.devices(), serial, server))


def every_phone() -> list[Phone]:
    """Return all phones of the local server.

    Raises:
        DeviceUnfit: there is none, or one does not take commands.
        TargetUnavailable: there is no adb.
    """
    server = local_server()
    listing = server.devices()
    if not listing:
        raise _none_there(server)
    return [Phone(server, chosen(listing, serial, server)) for serial, _ in listing]


def chosen(listing: Sequence[tuple[str, str]], serial: str | None, server: AdbServer) -> str:
    """Return the serial of the phone that is meant, out of the server's listing.

    Raises:
        UsageError: no serial is given and there are several phones.
        DeviceUnfit: it is not there, or in a state that takes no commands.
    """
    if serial is None:
        if not listing:
            raise _none_there(server)
        if len(listing) > 1:
            raise _several(listing)
        serial = listing[0][0]
    states = [state for name, state in listing if name == serial]
    if not states:
        raise _missing(serial, [name for name, _ in listing])
    if READY not in states:
        raise unfit(serial, states[0])
    return serial


def _none_there(server: AdbServer) -> DeviceUnfit:
    return DeviceUnfit(
        f"the adb server at {server} sees no phone: plug one in, switch on USB debugging in its"
        " developer options, and accept this computer on its screen"
    )


def _several(listing: Sequence[tuple[str, str]]) -> UsageError:
    names = ", ".join(
        clean(serial, 80) + ("" if state == READY else f" ({clean(state, 40)})")
        for serial, state in listing
    )
    return UsageError(f"--device adb could be any of {names}; give --device adb:SERIAL, or all")


def _missing(serial: str, known: Sequence[str]) -> DeviceUnfit:
    shown = clean(serial, 80)
    network = f", or run 'adb connect {shown}'" if _NETWORK_SERIAL.fullmatch(serial) else ""
    there = ", ".join(clean(name, 80) for name in known) or "none"
    return DeviceUnfit(
        f"phone {shown} is not connected (there: {there}): check the cable{network}."
        f"{nearest(shown, [clean(name, 80) for name in known])}"
    )
