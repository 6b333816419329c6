"""The cores of a phone by kind: which are big, which are little. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cnn_export.benchmarks.devices.contract import Cluster
from cnn_export.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Core:
    """One CPU as the kernel tells of it.

    ``capacity`` is ``cpu_capacity``, 1024 for the fastest core of the machine; ``max_khz`` is
    ``cpuinfo_max_freq``. ``None`` where the kernel does not tell, ``online`` false for a core
    that is switched off.
    """

    number: int
    capacity: int | None = None
    max_khz: int | None = None
    governor: str | None = None
    online: bool = True


def clusters(cores: Sequence[Core]) -> list[tuple[Core, ...]]:
    """Return the cores that are online in groups of one kind, the slowest kind first.

    Capacity tells kinds apart; where it is not told for every core, the highest clock does; where
    that is not told either, all cores are of one kind.
    """
    online = [core for core in cores if core.online]
    ranked: dict[int, list[Core]] = {}
    for core, rank in zip(online, _ranks(online), strict=True):
        ranked.setdefault(rank, []).append(core)
    return [tuple(ranked[rank]) for rank in sorted(ranked)]


def _ranks(cores: Sequence[Core]) -> list[int]:
    for ranks in ([core.capacity for core in cores], [core.max_khz for core in cores]):
        told = [rank for rank in ranks if rank is not None]
        if len(told) == len(cores):
            return told
    return [0] * len(cores)


def cpus_of(name: Cluster, cores: Sequence[Core]) -> tuple[int, ...]:
    """Return the CPUs of the fastest or the slowest cluster.

    Raises:
        UsageError: all cores are of one kind, or the phone does not tell them apart.
    """
    groups = clusters(cores)
    if len(groups) < 2:
        raise UsageError(
            f"the phone's cores are all of one kind, or it does not tell them apart: leave --cpus"
            f" {name} out, or give numbers, such as --cpus 0,1"
        )
    return tuple(core.number for core in groups[-1 if name == "big" else 0])


def spans(numbers: Sequence[int]) -> str:
    """Return ``0-3,6`` for 0, 1, 2, 3 and 6."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ",".join(f"{span[0]}-{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in found)


def mask(cpus: Sequence[int]) -> str:
    """Return the hexadecimal mask that Android's ``taskset`` takes."""
    return f"{sum(1 << cpu for cpu in set(cpus)):x}"
