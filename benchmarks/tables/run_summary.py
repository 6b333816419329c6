"""What runs found, per device, artifact and threads: from records to figures. No I/O."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from cnn_export.benchmarks.results import cross_check_rows
from cnn_export.benchmarks.results.plan_coverage import Coverage, missing_places, missing_record
from cnn_export.benchmarks.results.record_types import Artifact, Memory, Pair, Record, Repeat, Run
from cnn_export.benchmarks.results.recorded_pairs import compare_recorded
from cnn_export.benchmarks.statistics.comparison import of_incomplete, verdict_words
from cnn_export.benchmarks.statistics.summary import (
    Comparison,
    Interval,
    Variation,
    median_interval,
)
from cnn_export.benchmarks.statistics.summary import summarize as summarize_processes

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class TimeRow:
    """One artifact at one number of threads on a device, ``p50`` and ``p90`` over processes, in ns.

    ``flags`` counts the processes that carry each flag; memory is ``None`` if not measured.
    ``outliers`` are inferences far beyond their process's quartiles, which every figure holds.
    ``delegate`` is the one in use, which a runtime argument may have turned off.
    """

    device: str
    artifact: Artifact
    runtime: str
    runtime_version: str
    threads: int
    processes: int
    samples: int
    p50: Interval
    p90: Interval
    variation: Variation
    outliers: int
    delegate: str | None
    load_ns: float
    first_ns: float
    memory: Memory | None
    flags: dict[str, int]


@dataclasses.dataclass(frozen=True)
class PairRow:
    """Artifact ``b`` over artifact ``a``, alternated in the same processes; medians in ns."""

    device: str
    a: Artifact
    b: Artifact
    threads: int
    a_p50: Interval
    b_p50: Interval
    comparison: Comparison
    flags: dict[str, int]


def time_rows(records: Sequence[Record]) -> list[TimeRow]:
    """Return a row per run, artifact and threads that was timed, in the order of appearance."""
    artifacts, devices = _artifacts(records), _devices(records)
    memories = {(m.run_id, m.artifact, m.threads): m for m in records if isinstance(m, Memory)}
    repeats = [record for record in records if isinstance(record, Repeat)]
    groups = _grouped(repeats, [(r.run_id, r.artifact, r.threads) for r in repeats])
    order = {run: place for place, run in enumerate(devices)}, list(artifacts)
    ordered = sorted(
        groups, key=lambda key: (order[0].get(key[0], 0), order[1].index(key[:2]), key[2])
    )
    return [
        _time_row(devices.get(key[0], ""), artifacts[key[:2]], groups[key], memories.get(key))
        for key in ordered
    ]


def pair_rows(records: Sequence[Record]) -> list[PairRow]:
    """Return a row per run, pair and threads.

    Raises:
        InputRefused: as :func:`~cnn_export.benchmarks.results.recorded_pairs.compare_recorded`.
    """
    artifacts, devices = _artifacts(records), _devices(records)
    places = missing_places(Coverage(records).unfinished())
    pairs = [record for record in records if isinstance(record, Pair)]
    groups = _grouped(pairs, [(p.run_id, p.a, p.b, p.threads) for p in pairs])
    return [
        _pair_row(
            devices.get(run, ""),
            artifacts[run, a],
            artifacts[run, b],
            group,
            whole=((a, b), threads, devices.get(run, "")) not in places,
        )
        for (run, a, b, threads), group in sorted(groups.items(), key=lambda item: item[0][3])
    ]


def document(records: Sequence[Record]) -> dict[str, Any]:
    """Return the rows as JSON values; times are nanoseconds."""
    return {
        "results": [_time_document(row) for row in time_rows(records)],
        "comparisons": [_pair_document(row) for row in pair_rows(records)],
        "missing": [missing_record(part) for part in Coverage(records).unfinished()],
        **cross_check_rows.document(records),
    }


def _artifacts(records: Iterable[Record]) -> dict[tuple[str, str], Artifact]:
    """Return the artifacts by run and content."""
    return {
        (record.run_id, record.sha256): record for record in records if isinstance(record, Artifact)
    }


def _devices(records: Iterable[Record]) -> dict[str, str]:
    """Return the device of each run."""
    return {record.run_id: record.device.id for record in records if isinstance(record, Run)}


def _grouped(items: Sequence[_T], keys: Sequence[Any]) -> dict[Any, list[_T]]:
    groups: dict[Any, list[_T]] = {}
    for key, item in zip(keys, items, strict=True):
        groups.setdefault(key, []).append(item)
    return groups


def _time_row(
    device: str, artifact: Artifact, repeats: list[Repeat], memory: Memory | None
) -> TimeRow:
    summary = summarize_processes([repeat.samples_ns for repeat in repeats])
    return TimeRow(
        device=device,
        artifact=artifact,
        runtime=repeats[0].runtime,
        runtime_version=repeats[0].runtime_version,
        threads=repeats[0].threads,
        processes=summary.processes,
        samples=summary.samples,
        p50=summary.p50,
        p90=summary.p90,
        variation=summary.variation,
        outliers=summary.outliers,
        delegate=_delegate(artifact, repeats[0]),
        load_ns=statistics.median(repeat.load_ns for repeat in repeats),
        first_ns=statistics.median(repeat.first_ns for repeat in repeats),
        memory=memory,
        flags=_flags(repeats),
    )


def _delegate(artifact: Artifact, repeat: Repeat) -> str | None:
    return None if repeat.runtime_args.get("xnnpack") == "off" else artifact.delegate


def _pair_row(device: str, a: Artifact, b: Artifact, pairs: list[Pair], *, whole: bool) -> PairRow:
    comparison = compare_recorded(
        a,
        b,
        [(pair.a_ns, pair.b_ns) for pair in pairs],
        [pair.b_loaded_first for pair in pairs],
    )
    return PairRow(
        device=device,
        a=a,
        b=b,
        threads=pairs[0].threads,
        a_p50=median_interval([statistics.median(pair.a_ns) for pair in pairs]),
        b_p50=median_interval([statistics.median(pair.b_ns) for pair in pairs]),
        comparison=comparison if whole else of_incomplete(comparison),
        flags=_flags(pairs),
    )


def _flags(records: Sequence[Repeat | Pair]) -> dict[str, int]:
    return dict(Counter(flag for record in records for flag in record.conditions.flags))


def _time_document(row: TimeRow) -> dict[str, Any]:
    document = dataclasses.asdict(row)
    document["artifact"] = row.artifact.model_dump(exclude={"cnn_bench", "run_id"})
    if row.memory is not None:
        fields = ("peak_rss_bytes", "peak_pss_bytes", "baseline_rss_bytes")
        document["memory"] = row.memory.model_dump(include=set(fields))
    return document


def _pair_document(row: PairRow) -> dict[str, Any]:
    told = {"told": verdict_words(row.comparison)}
    return dataclasses.asdict(row) | {"a": row.a.name, "b": row.b.name} | told
