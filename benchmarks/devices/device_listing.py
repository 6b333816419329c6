"""What ``cnn-bench devices`` lists: this host and every phone that adb sees, usable or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cnn_export.command_line.terminal import printable
from cnn_export.errors import ExportError, TargetUnavailable

if TYPE_CHECKING:
    from cnn_export.benchmarks.devices.adb.connection.phone import Phone

_INDENT = f"{'':<15} "


def host() -> dict[str, Any]:
    """Return this host's facts, and what disturbs it right now."""
    from cnn_export.benchmarks.devices.host.host import HostDevice

    device = HostDevice()
    facts = device.describe().model_dump(exclude_none=True)
    return {**facts, "governor": facts.get("governor"), "flags": device.unfit(1, ())}


def phones() -> tuple[list[dict[str, Any]], str]:
    """Return the facts of each phone that the local adb server sees, and why there are none.

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


def _listed(phone: Phone, state: str) -> dict[str, Any]:
    from cnn_export.benchmarks.devices.adb.connection.device_text import clean
    from cnn_export.benchmarks.devices.adb.connection.refusals import READY, unfit

    found: dict[str, Any] = {"id": phone.name, "kind": "adb", "state": clean(state, 40)}
    if state != READY:
        return found | {"problem": str(unfit(phone.serial, state))}
    try:
        return found | _facts(phone)
    except ExportError as error:
        return found | {"problem": str(error)}


def _facts(phone: Phone) -> dict[str, Any]:
    from cnn_export.benchmarks.devices.adb.clusters import clusters
    from cnn_export.benchmarks.devices.adb.lifecycle.waiting import look
    from cnn_export.benchmarks.devices.adb.phone_info import read_facts

    facts, now = read_facts(phone), look(phone)
    return {
        "model": facts.model,
        "soc": facts.soc,
        "abis": list(facts.abis),
        "api_level": facts.api_level,
        "release": facts.release,
        "build": facts.build,
        "kernel": facts.kernel,
        "cpus": len(facts.cpus),
        "clusters": [
            {"cpus": [core.number for core in group], "max_khz": group[0].max_khz}
            for group in clusters(facts.cores)
        ],
        "memory_bytes": facts.memory_bytes,
        "governor": facts.governor,
        "battery_percent": now.battery.percent,
        "charging": now.battery.charging,
        "temperature_c": now.temperature_c,
        "thermal_status": now.thermal.status,
    }


def runtimes() -> dict[str, str | None]:
    """Return the version of each runtime of this host; ``None``: not installed."""
    from cnn_export.benchmarks.runtimes.runtime_registry import RUNTIMES, runtime_version

    versions: dict[str, str | None] = {}
    for kind in RUNTIMES.values():
        try:
            versions[kind.package] = runtime_version(kind())
        except TargetUnavailable:
            versions[kind.package] = None
    return versions


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield one device in words, fit for a terminal."""
    rows = _host_rows(facts) if facts["kind"] == "host" else _phone_rows(facts)
    label = printable(facts["id"])
    for index, row in enumerate(rows):
        yield (f"{label:<15} " if index == 0 else _INDENT) + printable(row)


def _host_rows(facts: dict[str, Any]) -> Iterator[str]:
    from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS

    yield f"{facts['model']}, {facts['cpus']} CPUs"
    yield f"{facts['memory_bytes'] / 1e9:.1f} GB, {facts['system']}"
    if facts["governor"]:
        yield f"governor {facts['governor']}"
    for flag in facts["flags"]:
        yield f"{flag}: {EXPLANATIONS.get(flag, '')}"


def _phone_rows(facts: dict[str, Any]) -> Iterator[str]:
    if "problem" in facts:
        yield f"{facts['state']}: {facts['problem']}"
        return
    yield f"{facts['model']}, {facts['soc'] or 'unknown chip'}"
    yield (
        f"Android {facts['release']}, API level {facts['api_level']}, {', '.join(facts['abis'])},"
        f" kernel {facts['kernel']}"
    )
    memory = f"{facts['memory_bytes'] / 1e9:.1f} GB"
    yield f"{facts['cpus']} CPUs: {_clusters(facts['clusters'])}; {memory}"
    yield ", ".join(_state(facts))


def _clusters(groups: Sequence[dict[str, Any]]) -> str:
    from cnn_export.benchmarks.devices.adb.clusters import spans

    return ", ".join(
        f"{len(group['cpus'])}"
        + (f" at {group['max_khz'] / 1e6:.2f} GHz" if group["max_khz"] else "")
        + f" ({spans(group['cpus'])})"
        for group in groups
    )


def _state(facts: dict[str, Any]) -> Iterator[str]:
    def told(value: float | None, unit: str) -> str:
        return "unknown" if value is None else f"{value:.0f}{unit}"

    charging = {True: ", charging", False: ", not charging", None: ""}[facts["charging"]]
    yield f"battery {told(facts['battery_percent'], ' %')}{charging}"
    yield f"temperature {told(facts['temperature_c'], ' °C')}"
    yield f"thermal status {told(facts['thermal_status'], '')}"
    yield f"governor {facts['governor'] or 'unknown'}"
