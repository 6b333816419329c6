"""The result of ``cnn-bench profile``: what ``--json`` prints and ``report --profile`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnn_export.benchmarks.results.record_types import MAX_NS, Count, Threads
from cnn_export.errors import InputRefused
from cnn_export.manifest.fields import Sha256
from cnn_export.untrusted.regular_file import read_bytes

SCHEMA_VERSION = 1
_MAX_BYTES = 64 * 1024 * 1024


Nanoseconds = Annotated[float, Field(ge=0, le=MAX_NS)]
PerSecond = Annotated[float, Field(ge=1, le=1e18)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class OpTime(_Model):
    """One operator as the runtime ran it, in its order.

    ``covers`` names the file's operators that it computes (several where the runtime fused them,
    none for work that is not in the file, such as a change of memory layout). ``macs`` and
    ``mac_bytes`` are those of ``covers``, without what a fusion no longer writes and reads;
    ``None`` where they are unknown.
    """

    name: str
    kind: str
    covers: list[str]
    median_ns: Nanoseconds
    share: float = Field(ge=0, le=1_000_000)
    macs: Count | None
    mac_bytes: Count | None

    @property
    def mac_per_s(self) -> float | None:
        """Multiply-accumulates per second; ``None`` without macs or a time."""
        return _rate(self.macs, self.median_ns)

    @property
    def bytes_per_s(self) -> float | None:
        """Memory access cost per second; ``None`` without bytes or a time."""
        return _rate(self.mac_bytes, self.median_ns)


class Roofline(_Model):
    """Measured limits of the device that was profiled, for the same number of threads."""

    mac_per_s: PerSecond
    bytes_per_s: PerSecond
    kernel: str

    def attainable(self, intensity: float) -> float:
        """Return the most multiply-accumulates per second at ``intensity`` (MACs per byte)."""
        return min(self.mac_per_s, intensity * self.bytes_per_s)

    def share(self, op: OpTime) -> float | None:
        """Return the part of the roof that ``op`` reaches; by bytes where it has no macs."""
        if op.macs and op.mac_bytes and op.mac_per_s:
            return op.mac_per_s / self.attainable(op.macs / op.mac_bytes)
        return op.bytes_per_s / self.bytes_per_s if op.bytes_per_s else None


def measured_roofline(threads: int) -> Roofline:
    """Measure this host with ``threads`` threads; takes a few seconds.

    Raises:
        ExportError: the measuring process failed.
    """
    from cnn_export.benchmarks.cost.host_peaks import measure_peaks

    peaks = measure_peaks(threads)
    return Roofline(
        mac_per_s=peaks.macs_per_s,
        bytes_per_s=peaks.bytes_per_s,
        kernel=f"{peaks.arithmetic_kernel}; {peaks.bandwidth_kernel}",
    )


class Profile(_Model):
    """Times of one artifact's operators; ns are medians over inferences of one process.

    ``sum_ns`` is the median of the sum over operators, ``profiled_ns`` of the whole call with the
    profiler on, ``plain_ns`` without it. Their differences are the runtime's work between
    operators, and the price of the profiler.
    """

    cnn_bench: Literal["profile"] = "profile"
    schema_version: Literal[1] = SCHEMA_VERSION
    artifact: str
    artifact_sha256: Sha256
    runtime: str
    runtime_version: str
    threads: Threads
    inferences: int = Field(ge=1)
    sum_ns: Nanoseconds
    profiled_ns: Nanoseconds | None = None
    plain_ns: Nanoseconds | None = None
    ops: list[OpTime]
    untimed: list[str]
    """Operators of the file that no event covers."""
    notes: list[str]
    roofline: Roofline | None = None

    @property
    def sum_of_medians_ns(self) -> float:
        """What the operators' medians add up to: without interruptions, which fall on one each."""
        return sum(op.median_ns for op in self.ops)

    @property
    def between_ops_ns(self) -> float | None:
        """The whole call less the operators: dispatch, copies, the profiler's own work."""
        return None if self.profiled_ns is None else self.profiled_ns - self.sum_ns

    @property
    def profiler_ns(self) -> float | None:
        """What profiling adds to a call; below zero where noise is larger than it."""
        if self.profiled_ns is None or self.plain_ns is None:
            return None
        return self.profiled_ns - self.plain_ns


def _rate(amount: int | None, ns: float) -> float | None:
    return None if amount is None or not ns else amount / ns * 1e9


def read_profile(path: Path) -> Profile:
    """Read what ``cnn-bench profile --json`` printed.

    Raises:
        InputRefused: missing, no regular file, too large, or no profile of this version.
    """
    text = read_bytes(path, _MAX_BYTES)
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the document"
        raise InputRefused(
            f"{path} is not a profile of cnn-bench profile --json: {field}: {first['msg']}"
        ) from error
