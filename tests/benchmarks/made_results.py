"""Results files as a run writes them, with the times a test wants."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.plan.parts import PartKey, part_of
from cnn_export.benchmarks.results.read_series import results_of
from cnn_export.benchmarks.results.series import Results

NS_PER_MS = 1_000_000
RUN_ID = "0123456789abcdef"
DEVICE = record_types.Device(
    id="host",
    kind="host",
    model="Test CPU",
    cpus=2,
    memory_bytes=8 * 2**30,
    system="Linux 6.1 x86_64",
)


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def run(
    run_id: str = RUN_ID, device: record_types.Device = DEVICE, **fields: Any
) -> record_types.Run:
    given = {"producer": "test", "started_at": "2026-01-01T00:00:00+00:00", "seed": 1}
    given |= {"repeats": 6, "min_time_s": 1.0, "artifacts": [sha256("net.tflite")]} | fields
    return record_types.Run(run_id=run_id, device=device, **given)


def artifact(
    name: str = "net.tflite", run_id: str = RUN_ID, **fields: Any
) -> record_types.Artifact:
    given = {"model": "net", "target": "tflite", "precision": "fp32", "file_bytes": 4000}
    given |= {"macs": 1000, "mac_bytes": 2000, "partitions": 1, "sha256": sha256(name)} | fields
    return record_types.Artifact(run_id=run_id, name=name, **given)


def repeat(number: int, samples_ns: Sequence[int], **fields: Any) -> record_types.Repeat:
    given = {"run_id": RUN_ID, "artifact": sha256("net.tflite"), "position": number}
    given |= {"threads": 1, "runtime": "ai-edge-litert", "runtime_version": "2.3.0"}
    given |= {"load_ns": 5 * NS_PER_MS, "first_ns": 3 * NS_PER_MS, "warm_up": 3} | fields
    return record_types.Repeat(repeat=number, samples_ns=list(samples_ns), **given)


def repeats_ms(medians: Sequence[float], **fields: Any) -> list[record_types.Repeat]:
    """One process per median; a quarter of its inferences take 1.5 times as long."""
    return [
        repeat(number, [round(ms * NS_PER_MS)] * 3 + [round(1.5 * ms * NS_PER_MS)], **fields)
        for number, ms in enumerate(medians)
    ]


def pair(number: int, a_ns: Sequence[int], b_ns: Sequence[int], **fields: Any) -> record_types.Pair:
    given = {"run_id": RUN_ID, "a": sha256("old.tflite"), "b": sha256("net.tflite")}
    given |= {"position": number, "b_first": bool(number % 2), "threads": 1}
    given |= {"b_loaded_first": bool(number % 2)}
    given |= {"runtimes": ("ai-edge-litert",) * 2, "runtime_versions": ("2.3.0",) * 2} | fields
    return record_types.Pair(repeat=number, a_ns=list(a_ns), b_ns=list(b_ns), **given)


def memory(peak_rss_bytes: int, **fields: Any) -> record_types.Memory:
    given = {"run_id": RUN_ID, "artifact": sha256("net.tflite"), "threads": 1}
    given |= {"runtime": "ai-edge-litert", "runtime_version": "2.3.0"} | fields
    return record_types.Memory(peak_rss_bytes=peak_rss_bytes, baseline_rss_bytes=1, **given)


def opened(**fields: Any) -> list[record_types.Record]:
    """The lines before the first measurement of ``net.tflite``."""
    return [run(**fields), artifact()]


def results(records: Sequence[record_types.Record]) -> Results:
    """What a file of ``records`` holds, each run with the plan that they fulfil."""
    return results_of(planned(records), "results.jsonl")


def save(path: Path, records: Sequence[record_types.Record]) -> Path:
    """Write ``records``, each run with the plan that they fulfil."""
    return save_as_is(path, planned(records))


def save_as_is(path: Path, records: Sequence[record_types.Record]) -> Path:
    path.write_text("".join(record.to_line() for record in records), encoding="utf-8")
    return path


def planned(records: Sequence[record_types.Record]) -> list[record_types.Record]:
    """Return ``records`` with as many runs as they need to be whole.

    A run has one number of repeats for all of its artifacts and threads, and times either single
    artifacts or pairs against one base.
    """
    plans = _plans(records)
    found: list[record_types.Record] = []
    for record in records:
        of_run = [(plan, run) for plan, run in plans.items() if plan[0] == record.run_id]
        if isinstance(record, record_types.Run):
            found += [run for _, run in of_run] or [record]
        elif isinstance(record, record_types.Artifact):
            told = [each for _, each in of_run if record.sha256 in each.artifacts]
            copies = [record.model_copy(update={"run_id": each.run_id}) for each in told]
            found += copies if of_run else [record]
        else:
            run = plans.get(_plan(records, record))
            found.append(record.model_copy(update={"run_id": run.run_id}) if run else record)
    return found


_Plan = tuple[str, str, int]
"""Run, base (of pairs), repeats."""


def _plan(records: Sequence[record_types.Record], record: record_types.Record) -> _Plan:
    part = _part(record)
    kind = "time" if part.kind == "memory" else part.kind
    same = [
        part_of(each) == dataclasses.replace(part, kind=kind)
        for each in records
        if isinstance(each, record_types.Repeat | record_types.Pair)
    ]
    return (record.run_id, part.artifacts[0] if kind == "pair" else "", max(1, sum(same)))


def _part(record: record_types.Record) -> PartKey:
    if isinstance(record, record_types.Opinion | record_types.Traffic):
        return PartKey(record.run_id, "time", (record.artifact,), record.threads)
    return part_of(record)


def _plans(records: Sequence[record_types.Record]) -> dict[_Plan, record_types.Run]:
    runs = {each.run_id: each for each in records if isinstance(each, record_types.Run)}
    measured = [
        each for each in records if not isinstance(each, record_types.Run | record_types.Artifact)
    ]
    members: dict[_Plan, list[PartKey]] = {}
    for record in measured:
        members.setdefault(_plan(records, record), []).append(_part(record))
    firsts = {plan[0]: plan for plan in reversed(members)}
    return {
        plan: _run_of(plan, runs[plan[0]], parts, first=firsts[plan[0]] == plan)
        for plan, parts in members.items()
        if plan[0] in runs
    }


def _run_of(
    plan: _Plan, run: record_types.Run, parts: list[PartKey], *, first: bool
) -> record_types.Run:
    _, base, repeats = plan
    artifacts = dict.fromkeys([*([base] if base else []), *(p.artifacts[-1] for p in parts)])
    twins = [base, base] if list(artifacts) == [base] else list(artifacts)
    return run.model_copy(
        update={
            "run_id": run.run_id if first else sha256(f"{run.run_id} {plan}")[:16],
            "artifacts": twins,
            "threads": list(dict.fromkeys(p.threads for p in parts)),
            "repeats": repeats,
            "compare": bool(base),
        }
    )
