"""Second opinions and memory traffic beside our own figures: from records to rows. No I/O."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Opinion,
    Record,
    Repeat,
    Run,
    Traffic,
)
from cnn_export.benchmarks.statistics.summary import summarize


@dataclasses.dataclass(frozen=True)
class OpinionRow:
    """A tool's figure beside ours: its median with our median, else its average with ours.

    ``ours_ns`` is ``None`` where nothing of ours counted.
    """

    device: str
    artifact: Artifact
    opinion: Opinion
    figure: Literal["median", "average"]
    theirs_ns: float
    ours_ns: float | None

    @property
    def difference_percent(self) -> float | None:
        """How much longer an inference takes by the tool than by us."""
        return None if self.ours_ns is None else 100 * (self.theirs_ns / self.ours_ns - 1)


@dataclasses.dataclass(frozen=True)
class TrafficRow:
    """What the counters say of one inference; :attr:`Traffic.reason` where they say nothing."""

    device: str
    artifact: Artifact
    traffic: Traffic

    @property
    def moved_bytes(self) -> dict[str, float]:
        """Bytes per inference by level."""
        return {level.level: level.moved_bytes for level in self.traffic.levels}


def opinion_rows(records: Sequence[Record]) -> list[OpinionRow]:
    """Return a row per opinion, in their order."""
    devices, artifacts = _devices(records), _artifacts(records)
    return [
        _opinion_row(
            devices[record.run_id], artifacts[record.run_id, record.artifact], record, records
        )
        for record in records
        if isinstance(record, Opinion)
    ]


def traffic_rows(records: Sequence[Record]) -> list[TrafficRow]:
    """Return a row per artifact and threads that was looked at."""
    devices, artifacts = _devices(records), _artifacts(records)
    return [
        TrafficRow(devices[record.run_id], artifacts[record.run_id, record.artifact], record)
        for record in records
        if isinstance(record, Traffic)
    ]


def document(records: Sequence[Record]) -> dict[str, Any]:
    """Return the rows as JSON values, as far as there are any; times are nanoseconds."""
    opinions = [_opinion_document(row) for row in opinion_rows(records)]
    traffic = [_traffic_document(row) for row in traffic_rows(records)]
    found = {"opinions": opinions, "traffic": traffic}
    return {name: rows for name, rows in found.items() if rows}


def _devices(records: Iterable[Record]) -> dict[str, str]:
    return {record.run_id: record.device.id for record in records if isinstance(record, Run)}


def _artifacts(records: Iterable[Record]) -> dict[tuple[str, str], Artifact]:
    """Return the artifacts by run and content."""
    return {
        (record.run_id, record.sha256): record for record in records if isinstance(record, Artifact)
    }


def _opinion_row(
    device: str, artifact: Artifact, opinion: Opinion, records: Iterable[Record]
) -> OpinionRow:
    key = (opinion.run_id, opinion.artifact, opinion.threads)
    samples = [
        record.samples_ns
        for record in records
        if isinstance(record, Repeat) and (record.run_id, record.artifact, record.threads) == key
    ]
    if opinion.median_ns is not None:
        ours = summarize(samples).p50.value if samples else None
        return OpinionRow(device, artifact, opinion, "median", opinion.median_ns, ours)
    ours = statistics.fmean(map(statistics.fmean, samples)) if samples else None
    return OpinionRow(device, artifact, opinion, "average", opinion.average_ns, ours)


def _opinion_document(row: OpinionRow) -> dict[str, Any]:
    told = row.opinion.model_dump(exclude={"cnn_bench", "run_id", "raw_ns"})
    return {
        "device": row.device,
        "name": row.artifact.name,
        **told,
        "figure": row.figure,
        "ours_ns": row.ours_ns,
        "difference_percent": row.difference_percent,
    }


def _traffic_document(row: TrafficRow) -> dict[str, Any]:
    traffic = row.traffic
    return {
        "device": row.device,
        "name": row.artifact.name,
        "artifact": traffic.artifact,
        "threads": traffic.threads,
        "mac_bytes": row.artifact.mac_bytes,
        **{f"bytes@{level}": moved for level, moved in row.moved_bytes.items()},
        "inferences": traffic.inferences,
        "reason": traffic.reason,
    }
