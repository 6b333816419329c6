"""What random results files hold, counted without any code of the product's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cnn_export.benchmarks.results.read_series import results_of
from cnn_export.benchmarks.results.record_types import Memory, Pair, Record, Repeat, Run
from cnn_export.benchmarks.results.series import Results

SEEDS = range(24)


def read(records: Sequence[Record]) -> Results:
    return results_of(records, "r.jsonl")


def hashes_of(record: Repeat | Pair | Memory) -> tuple[str, ...]:
    return (record.a, record.b) if isinstance(record, Pair) else (record.artifact,)


def lacking(records: Sequence[Record]) -> list[tuple[str, tuple[str, ...], str, int]]:
    """Parts with fewer processes than their plan, found without any code of the product's.

    Kind, SHA-256 of the artifacts, device and threads of each.
    """
    kept = Counter(
        (each.cnn_bench, each.run_id, hashes_of(each), each.threads)
        for each in records
        if isinstance(each, Repeat | Pair | Memory)
    )
    found: list[tuple[str, tuple[str, ...], str, int]] = []
    for run in (each for each in records if isinstance(each, Run)):
        if run.compare:
            parts = [("pair", (run.artifacts[0], each), run.repeats) for each in run.artifacts[1:]]
        else:
            each_once = [("repeat", run.repeats), ("memory", 1)]
            parts = [(kind, (of,), count) for of in run.artifacts for kind, count in each_once]
        for kind, of, planned in parts:
            for threads in run.threads:
                if kept[kind, run.run_id, of, threads] < planned:
                    found.append((kind, of, run.device.id, threads))
                # Of a device that was lost before its run began, nothing is there.
                lost = [each for each in run.group_devices or () if each != run.device.id]
                found += [(kind, of, device, threads) for device in lost]
    return found
