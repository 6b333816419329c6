"""Limits that a container sets on this process: CPU quota, memory, and how often it was held.

Reads control groups of version 2 and 1. A limit may stand at any level above the process, so
the smallest on the way to the root counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED_FROM = 2**60
"""Version 1 writes the largest page-aligned number for "no limit"."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """``cpus`` may be a fraction; ``None`` is no limit. ``throttled`` counts held periods."""

    cpus: float | None = None
    memory_bytes: int | None = None
    throttled: int = 0


def read_limits(root: Path = Path("/")) -> Limits:
    """Return the limits of the calling process below ``root``; what cannot be read has none."""
    cpus: list[float] = []
    memories: list[int] = []
    throttled = 0
    for folder in _folders(root, "cpu"):
        cpus += _quotas(folder)
        throttled = max(throttled, _throttled(folder / "cpu.stat"))
    for folder in _folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            memories += [n for n in _integers(folder / name) if n < _UNLIMITED_FROM]
    return Limits(min(cpus, default=None), min(memories, default=None), throttled)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the process's group for ``controller`` and every group above it."""
    mounts = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = mounts / controllers if controllers else mounts
        if controllers and not mount.is_dir():
            mount = mounts / controller
        group = mount / path.strip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mount))


def _quotas(folder: Path) -> list[float]:
    """Return CPUs' worth of time per period: ``cpu.max`` is ``QUOTA PERIOD``, or ``max``."""
    pair = [part for line in _lines(folder / "cpu.max") for part in line.split()]
    if not pair:
        pair = _lines(folder / "cpu.cfs_quota_us") + _lines(folder / "cpu.cfs_period_us")
    try:
        quota, period = (int(part) for part in pair)
    except ValueError:
        return []
    return [quota / period] if quota > 0 and period > 0 else []


def _throttled(file: Path) -> int:
    counts = [line.split() for line in _lines(file)]
    return next((int(row[1]) for row in counts if row[:1] == ["nr_throttled"]), 0)


def _integers(file: Path) -> list[int]:
    return [int(line) for line in _lines(file) if line.strip().isdigit()]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
