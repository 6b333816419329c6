"""Records of a made-up run: two artifacts, six processes each, one pair of artifacts."""

from __future__ import annotations

from pathlib import Path

import made_results
import numpy as np

from cnn_export.benchmarks.report.numbered import Shown, numbered
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Conditions,
    Device,
    Memory,
    Pair,
    Record,
    Repeat,
    Run,
)

RUN_ID = "00112233445566aa"
FAST, SLOW = "a" * 64, "b" * 64
FAST_NS, SLOW_NS = 2_000_000, 5_000_000


def run() -> Run:
    device = Device(
        id="host", kind="host", model="Test CPU", cpus=3, memory_bytes=8 * 10**9, system="Linux"
    )
    return Run(
        run_id=RUN_ID,
        producer="test 1",
        started_at="2020-02-03T04:05:06Z",
        device=device,
        seed=3,
        repeats=6,
        min_time_s=0.1,
        artifacts=[FAST, SLOW],
    )


def artifact(sha256: str, name: str, **changes: object) -> Artifact:
    fields: dict[str, object] = {
        "run_id": RUN_ID,
        "sha256": sha256,
        "name": name,
        "model": "net",
        "target": "tflite",
        "precision": "fp32",
        "file_bytes": 1_234_000,
        "macs": 300_800_000,
        "mac_bytes": 27_000_000,
        "partitions": 2,
    }
    return Artifact.model_validate(fields | changes)


def repeat(sha256: str, index: int, position: int, samples_ns: list[int], **more: object) -> Repeat:
    fields: dict[str, object] = {
        "run_id": RUN_ID,
        "artifact": sha256,
        "repeat": index,
        "position": position,
        "threads": 1,
        "runtime": "ai-edge-litert",
        "runtime_version": "2.3.0",
        "load_ns": 4_000_000,
        "first_ns": 3_000_000,
        "warm_up": 5,
        "samples_ns": samples_ns,
        "conditions": Conditions(clock_khz=[2_100_000, 1_900_000], temperature_c=[41.5, 43.0]),
    }
    return Repeat.model_validate(fields | more)


def records(fast_name: str = "fast.tflite", processes: int = 6) -> list[Record]:
    """The whole file; the median of process ``i`` is its artifact's time plus ``i`` percent."""
    lines: list[Record] = [run(), artifact(FAST, fast_name), artifact(SLOW, "slow.tflite")]
    for index in range(processes):
        for place, (sha256, base) in enumerate(((FAST, FAST_NS), (SLOW, SLOW_NS))):
            middle = base * (100 + index) // 100
            samples = [middle - 1000, middle, middle + 1000, middle, 9 * base]
            lines.append(repeat(sha256, index, 2 * index + place, samples))
    lines.append(
        Memory(
            run_id=RUN_ID,
            artifact=FAST,
            threads=1,
            runtime="ai-edge-litert",
            runtime_version="2.3.0",
            peak_rss_bytes=61_000_000,
            baseline_rss_bytes=30_000_000,
        )
    )
    return [*lines, *(pair(index) for index in range(10))]


def pair(index: int) -> Pair:
    times = np.linspace(1.0, 1.2, 7) * (1_000_000 + 1000 * index)
    return Pair(
        run_id=RUN_ID,
        a=FAST,
        b=SLOW,
        repeat=index,
        position=index,
        b_first=bool(index % 2),
        b_loaded_first=bool(index % 2),
        threads=1,
        runtimes=("ai-edge-litert", "ai-edge-litert"),
        runtime_versions=("2.3.0", "2.3.0"),
        a_ns=[round(t) for t in times],
        b_ns=[round(2.5 * t) for t in times],
    )


def shown(lines: list[Record]) -> Shown:
    """What the page shows of these lines."""
    return numbered(made_results.results(lines))


def write(path: Path, lines: list[Record]) -> Path:
    return made_results.save(path, lines)
