"""A call on two devices, whole, with endings of all its parts; and reading what came of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import made_results as made

from cnn_export.benchmarks.results.record_types import Conditions, Ending, Record
from cnn_export.errors import InputRefused

T = TypeVar("T")
MS = made.NS_PER_MS
PHONE = made.DEVICE.model_copy(update={"id": "R58", "kind": "adb", "soc": "chip", "api_level": 34})
A, B, OLD = (made.sha256(f"{name}.tflite") for name in ("a", "b", "old"))
PHONE_RUN, PAIR_RUN = "1" * 16, "2" * 16


def ending(run_id: str, kind: str, of: list[str], **more: Any) -> Ending:
    given: dict[str, Any] = {"run_id": run_id, "kind": kind, "artifacts": of, "threads": 1}
    return Ending.model_validate(given | {"outcome": "measured", "processes": 8} | more)


def run_of_two(run_id: str, device: Any, ms: float) -> list[Record]:
    """Two artifacts, eight processes each, interleaved, memory, and how each part ended."""
    dice = random.Random(run_id)  # noqa: S311 - no secret
    opening: list[Record] = [made.run(run_id, device, repeats=8, artifacts=[A, B])]
    opening += [made.artifact(f"{name}.tflite", run_id) for name in "ab"]
    opening += [made.memory(60_000_000, run_id=run_id, artifact=each) for each in (A, B)]
    timed = [
        made.repeat(
            number // 2,
            [round(ms * MS * (1 + dice.gauss(0, 0.01))) for _ in range(20)],
            run_id=run_id,
            artifact=(A, B)[number % 2],
            position=2 + number,
            load_ns=5 * MS + dice.randrange(MS),
            conditions=Conditions(clock_khz=[1_800_000, 1_900_000], temperature_c=[40.5]),
        )
        for number in range(16)
    ]
    ends = [ending(run_id, "time", [each]) for each in (A, B)]
    ends += [ending(run_id, "memory", [each], processes=1) for each in (A, B)]
    return [*opening, *timed, *ends]


def on_two_devices(ms: float, phone_ms: float, **figures: Any) -> list[Record]:
    """One call on the host and a phone; ``figures`` are those of both files."""
    call = {"group": "c" * 16, "group_devices": ["host", "R58"]}
    both = [
        *run_of_two(made.RUN_ID, made.DEVICE, ms),
        *run_of_two(PHONE_RUN, PHONE, phone_ms),
    ]
    return [
        each.model_copy(update=call)
        if each.cnn_bench == "run"
        else each.model_copy(update=figures)
        if each.cnn_bench == "artifact"
        else each
        for each in both
    ]


WHOLE = on_two_devices(10, 20)


def refusal_or(read: Callable[..., T], *arguments: object) -> T | None:
    """Return what ``read`` does, ``None`` where it refuses in one line."""
    try:
        return read(*arguments)
    except InputRefused as refusal:
        message = str(refusal)
    assert "\n" not in message
    assert len(message) < 1000
    return None
