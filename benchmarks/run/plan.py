"""What a run will do, process by process, and how far a results file has come with it."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

from cnn_export.benchmarks.artifacts.artifacts import RunArtifact
from cnn_export.benchmarks.devices.contract import Kind
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.plan.parts import PartKey

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One process. ``position`` is its place in the plan; two ``artifacts`` make a pair.

    Of a pair, the second is loaded first and begins each round where the flags say so.
    """

    kind: Kind
    artifacts: tuple[RunArtifact, ...]
    threads: int
    repeat: int
    position: int
    b_first: bool = False
    b_loaded_first: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """What tells this invocation from every other of its run."""
        hashes = tuple(artifact.sha256 for artifact in self.artifacts)
        return (self.kind, hashes, self.threads, self.repeat)

    def part(self, run_id: str) -> PartKey:
        """Return the part of the run's plan that it belongs to."""
        hashes = tuple(artifact.sha256 for artifact in self.artifacts)
        return PartKey(run_id, self.kind, hashes, self.threads)


@dataclasses.dataclass(frozen=True)
class _Item:
    kind: Kind
    artifacts: tuple[RunArtifact, ...]
    threads: int
    first_b_first: bool = False


def plan_invocations(
    artifacts: Sequence[RunArtifact],
    threads: Sequence[int],
    repeats: int,
    seed: int,
    *,
    compare: bool = False,
) -> list[Invocation]:
    """Return all processes of a run in order; the same arguments give the same plan.

    Timing: one process for each memory figure, then ``repeats`` rounds of every artifact at every
    number of threads, each round in an order of its own. With ``compare``: rounds of every
    artifact after the first paired with the first. Who is loaded first is swapped from process to
    process: of two equal networks, the one loaded last can be 4 % faster all along. Who begins is
    swapped at every other step, so that four repeats have all four combinations, and the second of
    each two (0 and 1, 2 and 3, …) has the opposite of both.
    """
    if compare:
        return _rounds(_pairs(artifacts, threads, seed), repeats, seed, 0)
    memory = [_Item("memory", (artifact,), count) for artifact in artifacts for count in threads]
    times = [_Item("time", (artifact,), count) for artifact in artifacts for count in threads]
    return _rounds(memory, 1, seed, 0) + _rounds(times, repeats, seed, len(memory))


def _pairs(artifacts: Sequence[RunArtifact], threads: Sequence[int], seed: int) -> list[_Item]:
    generator = random.Random(seed)  # noqa: S311 (an order, not a secret)
    return [
        _Item("pair", (artifacts[0], other), count, generator.random() < 0.5)
        for other in artifacts[1:]
        for count in threads
    ]


def _rounds(items: Sequence[_Item], repeats: int, seed: int, start: int) -> list[Invocation]:
    order = interleaved(items, repeats, seed)
    return [
        Invocation(
            item.kind,
            item.artifacts,
            item.threads,
            repeat=(repeat := index // len(items)),
            position=start + index,
            b_first=item.kind == "pair" and item.first_b_first != (repeat % 4 in (1, 2)),
            b_loaded_first=item.kind == "pair" and item.first_b_first != (repeat % 2 == 1),
        )
        for index, item in enumerate(order)
    ]


def interleaved(items: Sequence[_T], repeats: int, seed: int) -> list[_T]:
    """Return ``repeats`` rounds of all items, each round in its own order from ``seed``.

    A slow drift of the machine then falls on all items alike.
    """
    generator = random.Random(seed)  # noqa: S311 (an order, not a secret)
    return [item for _ in range(repeats) for item in generator.sample(items, len(items))]


def done_keys(records: Iterable[record_types.Record], run_id: str) -> set[tuple[object, ...]]:
    """Return the keys of the invocations of ``run_id`` that are already measured."""
    keys: set[tuple[object, ...]] = set()
    for record in records:
        if record.run_id != run_id:
            continue
        if isinstance(record, record_types.Repeat):
            keys.add(("time", (record.artifact,), record.threads, record.repeat))
        elif isinstance(record, record_types.Pair):
            keys.add(("pair", (record.a, record.b), record.threads, record.repeat))
        elif isinstance(record, record_types.Memory):
            keys.add(("memory", (record.artifact,), record.threads, 0))
    return keys
