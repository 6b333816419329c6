"""Memory of the process that asks, as the kernel counts it.

Linux: ``VmHWM`` of ``/proc/self/status`` is the peak resident set, ``Pss`` of ``smaps_rollup``
counts shared pages by share. The kernel keeps no peak of the latter: it is read at moments.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_KIBIBYTE = 1024
_SELF = Path("/proc/self")


def reset_peak(proc: Path = _SELF) -> None:
    """Let the peak start anew, where the kernel can (``clear_refs``, value 5)."""
    with contextlib.suppress(OSError):
        (proc / "clear_refs").write_text("5")


def rss_bytes(proc: Path = _SELF) -> int:
    """Return the resident set now; its peak so far where only that is known (not Linux)."""
    return _field_bytes(proc / "status", "VmRSS") or _usage_peak_bytes()


def peak_rss_bytes(proc: Path = _SELF) -> int:
    """Return the largest resident set since the process began or :func:`reset_peak`."""
    return _field_bytes(proc / "status", "VmHWM") or _usage_peak_bytes()


def pss_bytes(proc: Path = _SELF) -> int | None:
    """Return the proportional set now, ``None`` where the kernel does not tell."""
    return _field_bytes(proc / "smaps_rollup", "Pss")


def bound(most: int) -> None:
    """Refuse this process more than ``most`` bytes of data, where the system can.

    An artifact that asks for more ends its own process by an error, not others by the kernel's
    choice. Zero is no bound.
    """
    if most > 0:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _field_bytes(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    values = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    found = next(values, None)
    return None if found is None else int(found) * _KIBIBYTE


def _usage_peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else _KIBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
