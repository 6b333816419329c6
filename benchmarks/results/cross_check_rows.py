"""Other tools' figures and memory traffic beside our own figures: from results to rows. No I/O."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any, Literal

from cnn_export.benchmarks.results.record_types import Artifact, Opinion, Traffic
from cnn_export.benchmarks.results.series import Results


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


def opinion_rows(results: Results) -> list[OpinionRow]:
    """Return a row per opinion, in their order."""
    return [_opinion_row(opinion, results) for opinion in results.opinions]


def traffic_rows(results: Results) -> list[TrafficRow]:
    """Return a row per artifact and threads whose traffic was looked at."""
    return [
        TrafficRow(*results.described(record.run_id, record.artifact), record)
        for record in results.traffic
    ]


def document(results: Results) -> dict[str, Any]:
    """Return the rows as JSON values, as far as there are any; times are nanoseconds."""
    opinions = [_opinion_document(row) for row in opinion_rows(results)]
    traffic = [_traffic_document(row) for row in traffic_rows(results)]
    found = {"opinions": opinions, "traffic": traffic}
    return {name: rows for name, rows in found.items() if rows}


def _opinion_row(opinion: Opinion, results: Results) -> OpinionRow:
    device, artifact = results.described(opinion.run_id, opinion.artifact)
    series = results.timed_in(opinion.run_id, opinion.artifact, opinion.threads)
    if opinion.median_ns is not None:
        ours = series and series.summary.p50.value
        return OpinionRow(device, artifact, opinion, "median", opinion.median_ns, ours)
    ours = series and statistics.fmean(map(statistics.fmean, series.times_ns))
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
