"""What was measured, grouped: per artifact and setting the processes, their times as arrays. Pure.

A *setting* is everything that times depend on besides the artifact. Two series with equal
settings may be compared; :meth:`Setting.differences` names what is in the way.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cnn_export.benchmarks.results.plan_coverage import PartCoverage
from cnn_export.benchmarks.results.record_types import Artifact, Device

Nanoseconds = npt.NDArray[np.int64]
"""Shape ``(inferences,)``, in their order."""

_BYTES_PER_GIB = 2**30
_FLAG_SHARE = 0.5
"""Share of the processes that makes a flag the series' own: from there on the median bears it."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where and how an artifact ran. ``runtime_args`` are sorted pairs, ``cpus`` the affinity."""

    device: Device
    runtime: str
    runtime_version: str
    runtime_args: tuple[tuple[str, str], ...]
    threads: int
    cpus: tuple[int, ...] = ()
    fixed_performance: bool = False

    def differences(self, other: Setting) -> list[str]:
        """Return ``"field old → new"`` for every field that differs; ``other`` is the new one."""
        old, new = self._fields(), other._fields()
        return [f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name]]

    def _fields(self) -> dict[str, str]:
        device = self.device
        return {
            "device": f"{device.kind}:{device.id}",
            "device model": device.model,
            "device CPUs": str(device.cpus),
            # The kernel keeps a varying part to itself, so bytes differ on equal machines.
            "device memory": f"{device.memory_bytes / _BYTES_PER_GIB:.0f} GiB",
            "device system": device.system,
            "governor": device.governor or "unknown",
            **_phone_fields(device),
            "fixed-performance mode": "on" if self.fixed_performance else "off",
            "runtime": self.runtime,
            "runtime version": self.runtime_version,
            "threads": str(self.threads),
            "runtime arguments": _pairs(self.runtime_args),
            "CPU affinity": ",".join(map(str, self.cpus)) or "any",
        }


@dataclasses.dataclass(frozen=True)
class Series:
    """One artifact in one setting.

    ``times_ns`` and ``load_ns`` have one entry per process; ``peak_rss_bytes`` is of processes
    that time nothing. ``process_flags`` are the unfit conditions of each timed process.
    """

    artifact: Artifact
    setting: Setting
    times_ns: Sequence[Nanoseconds]
    load_ns: Sequence[int]
    peak_rss_bytes: Sequence[int] = ()
    process_flags: Sequence[Sequence[str]] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Unfit conditions of at least half of the processes, sorted."""
        return common_flags(self.process_flags)


@dataclasses.dataclass(frozen=True)
class Duel:
    """Two artifacts that took turns in the same processes: ``pairs`` holds (base, new) times.

    ``new_loaded_first`` says for each process whether the new one was loaded before the base.
    """

    base: Artifact
    new: Artifact
    base_setting: Setting
    new_setting: Setting
    pairs: Sequence[tuple[Nanoseconds, Nanoseconds]]
    new_loaded_first: Sequence[bool] = ()
    process_flags: Sequence[Sequence[str]] = ()


@dataclasses.dataclass(frozen=True)
class Measurements:
    """Everything of one results file, in the order of first appearance.

    ``missing`` are the parts of its plans that lack processes.
    """

    source: str
    series: Sequence[Series]
    duels: Sequence[Duel]
    missing: Sequence[PartCoverage] = ()


def common_flags(process_flags: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the flags that at least half of the processes carry, sorted."""
    counts = Counter(flag for flags in process_flags for flag in set(flags))
    least = _FLAG_SHARE * len(process_flags)
    return tuple(sorted(flag for flag, count in counts.items() if count >= least))


def _phone_fields(device: Device) -> dict[str, str]:
    return {
        "device SoC": device.soc or "unknown",
        "device ABI": device.abi or "unknown",
        "device API level": str(device.api_level or "unknown"),
        "device build": device.build or "unknown",
        "launch": device.launch or "unknown",
    }


def _pairs(arguments: tuple[tuple[str, str], ...]) -> str:
    return " ".join(f"{key}={value}" for key, value in arguments) or "none"
