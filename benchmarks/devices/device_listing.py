"""What ``cnn-bench devices`` lists: devices of every kind, usable or not, and runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnn_export.benchmarks.devices.named_devices import kinds
from cnn_export.command_line.terminal import printable
from cnn_export.errors import TargetUnavailable

_INDENT = f"{'':<15} "


def devices() -> tuple[list[dict[str, Any]], str]:
    """Return what every device is, with its ``id`` and ``kind``, and why there are no phones."""
    found = [kind.listed() for kind in kinds()]
    return [one for listed, _ in found for one in listed], "; ".join(why for _, why in found if why)


def lines(listed: dict[str, Any]) -> Iterator[str]:
    """Yield one device in words, fit for a terminal."""
    (kind,) = (kind for kind in kinds() if kind.name == listed["kind"])
    label = printable(listed["id"])
    for index, row in enumerate(kind.rows(listed)):
        yield (f"{label:<15} " if index == 0 else _INDENT) + printable(row)


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
