"""What this host is: CPU, cores, memory, system, governor. Every file is read below ``root``."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from cnn_export.benchmarks.machine.cgroup import read_limits
from cnn_export.benchmarks.results.record_types import Device

HOST = "host"
_ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_KIBIBYTE = 1024


def describe_host(root: Path = _ROOT) -> Device:
    """Return the host as results know it, less what a container holds back."""
    limits = read_limits(root)
    return Device(
        id=HOST,
        kind="host",
        model=cpu_model(root),
        cpus=usable_cpus(limits.cpus),
        memory_bytes=memory_bytes(root),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        governor=governor(root),
    )


def allowed_cpus() -> set[int]:
    """Return the CPUs that this process may run on; all where the system does not tell."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return set(range(os.cpu_count() or 1))


def usable_cpus(quota: float | None) -> int:
    """Return how many CPUs the process really has, at least one: affinity less the quota."""
    count = len(allowed_cpus())
    return count if quota is None else max(1, min(count, int(quota)))


def cpu_model(root: Path = _ROOT) -> str:
    """Return the processor's name; on ARM, where Linux tells only numbers, those."""
    fields = _cpuinfo(root)
    if "model name" in fields:
        return fields["model name"]
    numbers = [fields.get(key) for key in ("CPU implementer", "CPU part", "CPU revision")]
    known = " ".join(number for number in numbers if number)
    return fields.get("Hardware") or known or platform.processor() or platform.machine()


def governor(root: Path = _ROOT) -> str | None:
    """Return the frequency governors in use, ``None`` where the kernel sets no frequency."""
    files = sorted((root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_governor"))
    found = {text for text in map(_text, files) if text}
    return ",".join(sorted(found)) or None


def clocks_khz(cpus: set[int], root: Path = _ROOT) -> list[int]:
    """Return the clock of each of ``cpus``, as far as the kernel knows it.

    From ``cpufreq``; else from ``/proc/cpuinfo``, but only of processors that count their cycles
    (``aperfmperf``): without that the file repeats a nominal value, which is no sample.
    """
    files = (root / _CPU / f"cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in sorted(cpus))
    found = [int(text) for text in map(_text, files) if text.isdigit()]
    if found or "aperfmperf" not in _cpuinfo(root).get("flags", "").split():
        return found
    lines = _text(root / "proc/cpuinfo").splitlines()
    rates = [line.partition(":")[2] for line in lines if line.startswith("cpu MHz")]
    return [round(float(rate) * 1000) for cpu, rate in enumerate(rates) if cpu in cpus]


def thermal_throttles(root: Path = _ROOT) -> int:
    """Return how often heat has slowed any core or package since boot."""
    files = (root / _CPU).glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    return sum(int(text) for text in map(_text, files) if text.isdigit())


def _cpuinfo(root: Path) -> dict[str, str]:
    """Return the first processor's fields."""
    lines = _text(root / "proc/cpuinfo").splitlines()
    pairs = [line.partition(":") for line in lines]
    return {key.strip(): value.strip() for key, _, value in reversed(pairs)}


def memory_bytes(root: Path = _ROOT) -> int:
    """Return the memory of this host, less what a container holds back; 0 where unknown."""
    limit = read_limits(root).memory_bytes
    total = _total_memory_bytes(root)
    return total if limit is None else min(total, limit)


def _total_memory_bytes(root: Path) -> int:
    lines = _text(root / "proc/meminfo").splitlines()
    totals = [line.split()[1] for line in lines if line.startswith("MemTotal:")]
    return int(totals[0]) * _KIBIBYTE if totals else 0


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
