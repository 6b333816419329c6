"""Results files of any history that runs can have, drawn from a seed.

Several runs and devices, settings, partial plans, failed and lost parts, flags, outliers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import made_results as made

from cnn_export.benchmarks.results.plan.parts import PartKey, planned_parts
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Conditions,
    Ending,
    Record,
    Run,
)

HASHES = [made.sha256(f"{name}.tflite") for name in "abc"]
PHONE = made.DEVICE.model_copy(update={"id": "R58", "kind": "adb", "api_level": 34})
FORMATS = ["tflite", "tflite", "onnx"]
"""Of each artifact; mixed, in one file of five."""
RUNTIMES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}
FLAGS = ("clock_moved", "others_busy", "throttled")


def random_results(seed: int, *, again: int = 0) -> list[Record]:
    """Lines as runs write them, one run after the other; ``again`` only measures anew."""
    planning = random.Random(seed)  # noqa: S311 - no secret
    dice = random.Random(f"{seed} {again}")  # noqa: S311
    formats = planning.choice([FORMATS[:1] * 3] * 4 + [FORMATS])
    runs: list[Run] = []
    for number in range(planning.randint(1, 4)):
        run_id = f"{8 * again + number + 1:x}" * 16
        drawn = _run(planning, run_id)
        runs.append(_like(planning, planning.choice(runs), drawn) if runs else drawn)
    return [record for run in runs for record in _lines(dice, run, formats)]


def _lines(dice: random.Random, run: Run, formats: list[str]) -> list[Record]:
    described = (_artifact(each, run.run_id, formats) for each in dict.fromkeys(run.artifacts))
    lines: list[Record] = [run, *described]
    version = dice.choice(["2.3.0", "2.3.0", "2.4.0"])
    parts = planned_parts(run)
    cut_short = dice.random() < 0.5
    kept = {
        part: dice.choice([dice.randint(0, planned), planned - 1])
        if cut_short and dice.random() < 0.5
        else planned
        for part, planned in parts.items()
    }
    measured = [(part, number) for part, count in kept.items() for number in range(count)]
    dice.shuffle(measured)
    measured.sort(key=lambda each: each[1])
    for position, (part, number) in enumerate(measured):
        lines.append(_measured(dice, run, part, version, number, position, formats))
    if not cut_short or dice.random() < 0.7:  # else it was killed, and nobody told an end
        lines += [_ending(dice, part, kept[part], planned) for part, planned in parts.items()]
    return lines


def _run(dice: random.Random, run_id: str) -> Run:
    device = dice.choice([made.DEVICE, made.DEVICE, PHONE])
    # As after a restart, and on both sides of where whole GiB change.
    memory = device.memory_bytes - dice.choice([0, 0, 0, 4096, 2**29, 2**29 + 4096])
    compare = dice.random() < 0.5
    hashes = dice.sample(HASHES, dice.randint(1 + compare, 3))
    if compare and dice.random() < 0.2:
        hashes = [hashes[0]] * 2
    group: dict[str, Any] = {}
    if dice.random() < 0.2:  # the other device was lost before its run began
        group = {"group": run_id, "group_devices": ["R58", "host"]}
    return made.run(
        run_id,
        device.model_copy(update={"memory_bytes": memory}),
        artifacts=hashes,
        compare=compare,
        repeats=dice.choice([1, 2, 6, 9, 14, 14]),
        threads=dice.choice([[1], [1], [2, 1]]),
        cpus=dice.choice([[], [], [1, 0]]),
        runtime_args=dice.choice([{}, {}, {"xnnpack": "off"}]),
        **group,
    )


def _like(dice: random.Random, earlier: Run, drawn: Run) -> Run:
    """Mostly the plan of an earlier run with one thing changed, so that some are one series."""
    if dice.random() < 0.3:
        return drawn
    kept = {"device", "artifacts", "compare", "repeats", "threads", "cpus", "runtime_args"}
    changed = dice.choice(["device", "repeats", "threads", "cpus", "runtime_args"])
    return drawn.model_copy(
        update={name: getattr(earlier, name) for name in kept if name != changed}
    )


def _artifact(sha256: str, run_id: str, formats: list[str]) -> Artifact:
    number = HASHES.index(sha256)
    name = f"{'abc'[number]}.{formats[number]}"
    return made.artifact(name, run_id, sha256=sha256, target=formats[number], delegate="XNNPACK")


def _measured(
    dice: random.Random,
    run: Run,
    part: PartKey,
    version: str,
    number: int,
    position: int,
    formats: list[str],
) -> Record:
    runtimes = tuple(RUNTIMES[formats[HASHES.index(each)]] for each in part.artifacts)
    fields: dict[str, Any] = {"run_id": run.run_id, "threads": part.threads}
    if part.kind == "memory":
        peak = dice.randrange(10**6, 10**8)
        fields |= {"runtime": runtimes[0], "runtime_version": version}
        return made.memory(peak, artifact=part.artifacts[0], **fields)
    flags = [flag for flag in FLAGS if dice.random() < 0.3]
    fields |= {"conditions": Conditions(flags=flags), "position": position}
    fields |= {"runtime_args": run.runtime_args}
    factors = [1 + 0.04 * HASHES.index(each) for each in part.artifacts]
    count = dice.randint(16, 40)
    if part.kind == "pair":
        fields |= {"runtimes": runtimes, "runtime_versions": (version, version)}
        fields |= {"a": part.artifacts[0], "b": part.artifacts[1]}
        return made.pair(number, *(_times(dice, count, each) for each in factors), **fields)
    fields |= {"load_ns": dice.randrange(10**6, 10**7), "first_ns": dice.randrange(10**6, 10**7)}
    fields |= {"artifact": part.artifacts[0], "runtime": runtimes[0], "runtime_version": version}
    return made.repeat(number, _times(dice, count, factors[0]), **fields)


def _times(dice: random.Random, count: int, factor: float) -> Sequence[int]:
    """Log-normal around 10 ms, one inference in twenty delayed by up to a second."""
    return [
        round(factor * 1e7 * dice.lognormvariate(0, 0.02))
        + (dice.randrange(10**9) if dice.random() < 0.05 else 0)
        for _ in range(count)
    ]


def _ending(dice: random.Random, part: PartKey, kept: int, planned: int) -> Ending:
    outcome = "measured" if kept == planned else dice.choice(["failed", "lost"])
    return Ending(
        run_id=part.run_id,
        kind=part.kind,
        artifacts=list(part.artifacts),
        threads=part.threads,
        outcome=outcome,
        processes=kept,
        reason=None if outcome == "measured" else "so it came",
        exit_code=3 if outcome == "failed" else None,
    )
