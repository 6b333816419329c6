"""What a person or a machine sees of a timing on this host."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.protocol import Hello
from cnn_export.benchmarks.summary import NS_PER_MS, Summary
from cnn_export.manifest import Manifest

_BYTES_PER_MB = 1e6
_MACS_PER_MILLION = 1e6
_FILE_WIDTH = 160
"""Columns of output that goes to a file or pipe, where nothing needs folding."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """One artifact, the runtime that ran it, and what its processes measured."""

    path: Path
    manifest: Manifest
    hello: Hello
    summary: Summary


@dataclasses.dataclass(frozen=True)
class Conditions:
    """How the timing was made."""

    repeats: int
    min_time_s: float
    threads: int
    seed: int


def as_json(timings: Sequence[Timing], conditions: Conditions) -> str:
    """Return one JSON document; times are nanoseconds."""
    document = {
        "device": "this host",
        "conditions": dataclasses.asdict(conditions),
        "timings": [_record(timing) for timing in timings],
    }
    return json.dumps(document, indent=2)


def _record(timing: Timing) -> dict[str, object]:
    manifest = timing.manifest
    return {
        "artifact": str(timing.path),
        "artifact_sha256": manifest.artifact_sha256,
        "model": manifest.source.model,
        "target": manifest.target,
        "precision": manifest.precision,
        "runtime": timing.hello.runtime,
        "runtime_version": timing.hello.version,
        "artifact_bytes": manifest.artifact_bytes,
        "macs": manifest.macs,
        **dataclasses.asdict(timing.summary),
    }


def show(timings: Sequence[Timing], conditions: Conditions) -> None:
    """Print the table on stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(_table(timings, conditions))


def _table(timings: Sequence[Timing], conditions: Conditions) -> Table:
    unit = "thread" if conditions.threads == 1 else "threads"
    title = f"Latency on this host, {conditions.threads} {unit}, {conditions.repeats} processes"
    table = Table(
        title=title, title_justify="left", box=None, pad_edge=False, caption_justify="left"
    )
    table.caption = "One number per process: the median of its inferences. Not a phone's times."
    for heading in ("model", "target", "runtime", "file"):
        table.add_column(heading, overflow="fold")
    for heading in ("MB", "M MACs", "median ms", "range ms"):
        table.add_column(heading, justify="right")
    for timing in timings:
        table.add_row(*_cells(timing))
    return table


def _cells(timing: Timing) -> list[str]:
    manifest, summary = timing.manifest, timing.summary
    return [
        manifest.source.model,
        manifest.target,
        f"{timing.hello.runtime} {timing.hello.version}",
        timing.path.name,
        f"{manifest.artifact_bytes / _BYTES_PER_MB:.2f}",
        f"{manifest.macs / _MACS_PER_MILLION:.1f}",
        _milliseconds(summary.median_ns),
        f"{_milliseconds(summary.low_ns)}–{_milliseconds(summary.high_ns)}",  # noqa: RUF001
    ]


def _milliseconds(ns: float) -> str:
    return f"{ns / NS_PER_MS:.3f}"
