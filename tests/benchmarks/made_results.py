"""Results files as a run writes them, with the times a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn_export.benchmarks import results

NS_PER_MS = 1_000_000
RUN_ID = "0123456789abcdef"
DEVICE = results.Device(
    id="host",
    kind="host",
    model="Test CPU",
    cpus=2,
    memory_bytes=8 * 2**30,
    system="Linux 6.1 x86_64",
)


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def run(run_id: str = RUN_ID, device: results.Device = DEVICE, **fields: Any) -> results.Run:
    given = {"producer": "test", "started_at": "2026-01-01T00:00:00+00:00", "seed": 1}
    given |= {"repeats": 6, "min_time_s": 1.0} | fields
    return results.Run(run_id=run_id, device=device, **given)


def artifact(name: str = "net.tflite", run_id: str = RUN_ID, **fields: Any) -> results.Artifact:
    given = {"model": "net", "target": "tflite", "precision": "fp32", "file_bytes": 4000}
    given |= {"macs": 1000, "mac_bytes": 2000, "partitions": 1, "sha256": sha256(name)} | fields
    return results.Artifact(run_id=run_id, name=name, **given)


def repeat(number: int, samples_ns: Sequence[int], **fields: Any) -> results.Repeat:
    given = {"run_id": RUN_ID, "artifact": sha256("net.tflite"), "position": number}
    given |= {"threads": 1, "runtime": "ai-edge-litert", "runtime_version": "2.3.0"}
    given |= {"load_ns": 5 * NS_PER_MS, "first_ns": 3 * NS_PER_MS, "warm_up": 3} | fields
    return results.Repeat(repeat=number, samples_ns=list(samples_ns), **given)


def repeats_ms(medians: Sequence[float], **fields: Any) -> list[results.Repeat]:
    """One process per median; a quarter of its inferences take 1.5 times as long."""
    return [
        repeat(number, [round(ms * NS_PER_MS)] * 3 + [round(1.5 * ms * NS_PER_MS)], **fields)
        for number, ms in enumerate(medians)
    ]


def pair(number: int, a_ns: Sequence[int], b_ns: Sequence[int], **fields: Any) -> results.Pair:
    given = {"run_id": RUN_ID, "a": sha256("old.tflite"), "b": sha256("net.tflite")}
    given |= {"position": number, "b_first": bool(number % 2), "threads": 1}
    given |= {"b_loaded_first": bool(number % 2)}
    given |= {"runtimes": ("ai-edge-litert",) * 2, "runtime_versions": ("2.3.0",) * 2} | fields
    return results.Pair(repeat=number, a_ns=list(a_ns), b_ns=list(b_ns), **given)


def memory(peak_rss_bytes: int, **fields: Any) -> results.Memory:
    given = {"run_id": RUN_ID, "artifact": sha256("net.tflite"), "threads": 1}
    given |= {"runtime": "ai-edge-litert", "runtime_version": "2.3.0"} | fields
    return results.Memory(peak_rss_bytes=peak_rss_bytes, baseline_rss_bytes=1000, **given)


def opened(**fields: Any) -> list[results.Record]:
    """The lines before the first measurement of ``net.tflite``."""
    return [run(**fields), artifact()]


def save(path: Path, records: Sequence[results.Record]) -> Path:
    path.write_text("".join(record.to_line() for record in records), encoding="utf-8")
    return path
