"""Where and how an artifact ran: everything besides the artifact that its times depend on. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.benchmarks.results.record_types import Artifact, Device, Run
from cnn_export.benchmarks.runtimes.runtime_arguments import kept_arguments

_BYTES_PER_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Place:
    """As much of a setting as a plan knows: on which device, with how many threads."""

    device_id: str
    threads: int


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where and how an artifact ran. ``runtime_args`` are sorted pairs, ``cpus`` the affinity.

    Equal settings are of equal devices, to the byte of their memory.
    """

    device: Device
    runtime: str
    runtime_version: str
    runtime_args: tuple[tuple[str, str], ...]
    threads: int
    cpus: tuple[int, ...] = ()
    fixed_performance: bool = False

    @classmethod
    def of_run(
        cls, run: Run, runtime: str, version: str, arguments: dict[str, str], threads: int
    ) -> Setting:
        """Return the setting of a run; arguments of other runtimes than this one do not count."""
        kept = kept_arguments(runtime, arguments)
        cpus = tuple(sorted(run.cpus))
        return cls(run.device, runtime, version, kept, threads, cpus, run.fixed_performance)

    @property
    def place(self) -> Place:
        """Its device and threads."""
        return Place(self.device.id, self.threads)

    @property
    def circumstances(self) -> tuple[str, ...]:
        """Device, runtime, its arguments, threads and affinity, as a person reads them."""
        count = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        arguments = (f"{key}={value}" for key, value in self.runtime_args)
        runtime = f"{self.runtime} {self.runtime_version}".rstrip()
        cpus = (f"CPUs {','.join(map(str, self.cpus))}",) if self.cpus else ()
        return (self.device.id, runtime, *arguments, count, *cpus)

    def as_record(self) -> dict[str, Any]:
        """Return device, runtime, arguments, threads and affinity as JSON values."""
        return {
            "device": self.device.id,
            "device_model": self.device.model,
            "runtime": self.runtime,
            "runtime_version": self.runtime_version,
            "runtime_args": dict(self.runtime_args),
            "threads": self.threads,
            "cpus": list(self.cpus),
        }

    def differences(self, other: Setting) -> list[str]:
        """Return ``"field old → new"`` for every field that differs; ``other`` is the new one.

        Memory differs here from whole GiB on: what is compared may have run before a restart.
        """
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


def label_of(artifact: Artifact, setting: Setting | None) -> str:
    """Return one line that tells an artifact where it ran, if it did, from all others."""
    circumstances = setting.circumstances if setting else ()
    return f"{artifact.name} ({', '.join((artifact.precision, *circumstances))})"


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
