"""Records of a results file, grouped into what the page shows. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import count

import numpy as np
import numpy.typing as npt

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
from cnn_export.benchmarks.results.recorded_pairs import compare_recorded
from cnn_export.benchmarks.statistics.comparison import of_incomplete
from cnn_export.benchmarks.statistics.summary import Comparison, Summary, summarize
from cnn_export.errors import InputRefused

Nanoseconds = npt.NDArray[np.int64]
_Key = tuple[str, str, bool, tuple[int, ...], str, str, int, str]


@dataclasses.dataclass(frozen=True)
class Timed:
    """An artifact's times in one worker process; ``samples_ns`` has shape ``(inferences,)``."""

    run_id: str
    position: int
    samples_ns: Nanoseconds
    conditions: Conditions

    @property
    def median_ns(self) -> float:
        """The number that stands for the process."""
        return float(np.median(self.samples_ns))


@dataclasses.dataclass(frozen=True)
class Process(Timed):
    """A worker process that one artifact had for itself."""

    load_ns: int
    first_ns: int


@dataclasses.dataclass(frozen=True)
class Sampled:
    """All times of one artifact in one setting; ``number`` names it on the page, from 1."""

    number: int
    artifact: Artifact
    threads: int
    processes: tuple[Timed, ...]
    summary: Summary


@dataclasses.dataclass(frozen=True)
class Series(Sampled):
    """One artifact under one set of conditions, in processes of its own.

    ``cpus`` are those that the worker was pinned to; empty where it was not.
    """

    processes: tuple[Process, ...]
    device: Device
    runtime: str
    runtime_version: str
    runtime_args: dict[str, str]
    cpus: tuple[int, ...]
    peak_rss_bytes: int | None

    @property
    def flags(self) -> tuple[str, ...]:
        """Unfit conditions of any process, each with how many processes had it."""
        named = [flag for process in self.processes for flag in process.conditions.flags]
        return tuple(f"{flag} ({named.count(flag)})" for flag in sorted(set(named)))


@dataclasses.dataclass(frozen=True)
class Duel:
    """Two artifacts that took turns in the same processes; ``comparison`` is b over a.

    ``sides`` are the times of a and of b.
    """

    a: Artifact
    b: Artifact
    sides: tuple[Sampled, Sampled]
    device: Device
    runtimes: tuple[str, str]
    threads: int
    comparison: Comparison


@dataclasses.dataclass(frozen=True)
class Measured:
    """Everything of one results file that the page shows."""

    runs: tuple[Run, ...]
    series: tuple[Series, ...]
    duels: tuple[Duel, ...]

    @property
    def several_devices(self) -> bool:
        """Whether a row has to say where it was measured."""
        return len({run.device.id for run in self.runs}) > 1


def group(records: Iterable[Record]) -> Measured:
    """Group records by artifact, device, mode, CPUs, runtime, arguments, threads, in file order.

    Raises:
        InputRefused: nothing was measured, or a measurement's run or artifact is not described.
    """
    by_kind = _Kinds()
    for record in records:
        by_kind.add(record)
    if not by_kind.repeats and not by_kind.pairs:
        raise InputRefused("the results hold no measurement; run cnn-bench run first")
    series = _series(by_kind)
    return Measured(tuple(by_kind.runs.values()), series, _duels(by_kind, len(series)))


class _Kinds:
    """Records by kind; an artifact's latest description wins."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[tuple[str, str], Artifact] = {}
        self.repeats: list[Repeat] = []
        self.pairs: list[Pair] = []
        self.memories: list[Memory] = []

    def add(self, record: Record) -> None:
        match record:
            case Run():
                self.runs[record.run_id] = record
            case Artifact():
                self.artifacts[record.run_id, record.sha256] = record
            case Repeat():
                self.repeats.append(record)
            case Pair():
                self.pairs.append(record)
            case Memory():
                self.memories.append(record)
            case _:
                pass  # no measurement of ours

    def run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise InputRefused(f"a measurement is of run {run_id}, which no 'run' line opens")
        return self.runs[run_id]

    def artifact(self, run_id: str, sha256: str) -> Artifact:
        found = self.artifacts.get((run_id, sha256))
        if found is None:
            raise InputRefused(
                f"a measurement is of artifact {sha256[:12]}…, which no 'artifact' line of run "
                f"{run_id} describes"
            )
        return found


def _series(kinds: _Kinds) -> tuple[Series, ...]:
    groups: dict[_Key, list[Repeat]] = {}
    for repeat in kinds.repeats:
        groups.setdefault(_key(kinds, repeat), []).append(repeat)
    return tuple(
        _one_series(number, kinds, repeats)
        for number, repeats in enumerate(groups.values(), start=1)
    )


def _key(kinds: _Kinds, repeat: Repeat) -> _Key:
    run = kinds.run(repeat.run_id)
    arguments = ",".join(f"{key}={value}" for key, value in sorted(repeat.runtime_args.items()))
    return (
        repeat.artifact,
        run.device.model_dump_json(),
        run.fixed_performance,
        tuple(sorted(run.cpus)),
        repeat.runtime,
        repeat.runtime_version,
        repeat.threads,
        arguments,
    )


def _one_series(number: int, kinds: _Kinds, repeats: list[Repeat]) -> Series:
    first = repeats[0]
    processes = tuple(map(_process, sorted(repeats, key=lambda each: each.position)))
    return Series(
        number=number,
        artifact=kinds.artifact(first.run_id, first.artifact),
        device=kinds.run(first.run_id).device,
        runtime=first.runtime,
        runtime_version=first.runtime_version,
        runtime_args=first.runtime_args,
        cpus=tuple(sorted(kinds.run(first.run_id).cpus)),
        threads=first.threads,
        processes=processes,
        summary=summarize([process.samples_ns for process in processes]),
        peak_rss_bytes=_peak(kinds, first),
    )


def _process(repeat: Repeat) -> Process:
    return Process(
        run_id=repeat.run_id,
        position=repeat.position,
        samples_ns=np.asarray(repeat.samples_ns, np.int64),
        load_ns=repeat.load_ns,
        first_ns=repeat.first_ns,
        conditions=repeat.conditions,
    )


def _peak(kinds: _Kinds, repeat: Repeat) -> int | None:
    same = (
        memory.peak_rss_bytes
        for memory in kinds.memories
        if _place(kinds.run(memory.run_id)) == _place(kinds.run(repeat.run_id))
        and (memory.artifact, memory.threads, memory.runtime, memory.runtime_version)
        == (repeat.artifact, repeat.threads, repeat.runtime, repeat.runtime_version)
    )
    return max(same, default=None)


def _place(run: Run) -> tuple[Device, bool, tuple[int, ...]]:
    return run.device, run.fixed_performance, tuple(sorted(run.cpus))


def _duels(kinds: _Kinds, taken: int) -> tuple[Duel, ...]:
    """Return the comparisons; their sides are numbered behind the ``taken`` numbers."""
    groups: dict[tuple[str, str, str, int], list[Pair]] = {}
    for pair in kinds.pairs:
        groups.setdefault((pair.run_id, pair.a, pair.b, pair.threads), []).append(pair)
    numbered = zip(count(taken + 1, 2), groups.values(), strict=False)
    return tuple(_duel(kinds, pairs, number) for number, pairs in numbered)


def _duel(kinds: _Kinds, pairs: list[Pair], number: int) -> Duel:
    first = pairs[0]
    a, b = (kinds.artifact(first.run_id, sha256) for sha256 in (first.a, first.b))
    ordered = sorted(pairs, key=lambda each: each.position)
    incomplete = len(pairs) < kinds.run(first.run_id).repeats
    comparison = compare_recorded(
        a,
        b,
        [(pair.a_ns, pair.b_ns) for pair in pairs],
        [pair.b_loaded_first for pair in pairs],
    )
    return Duel(
        a=a,
        b=b,
        sides=(
            _side(number, a, [(pair, pair.a_ns) for pair in ordered]),
            _side(number + 1, b, [(pair, pair.b_ns) for pair in ordered]),
        ),
        device=kinds.run(first.run_id).device,
        runtimes=first.runtimes,
        threads=first.threads,
        comparison=of_incomplete(comparison) if incomplete else comparison,
    )


def _side(number: int, artifact: Artifact, times: list[tuple[Pair, list[int]]]) -> Sampled:
    processes = tuple(
        Timed(pair.run_id, pair.position, np.asarray(own, np.int64), pair.conditions)
        for pair, own in times
    )
    summary = summarize([process.samples_ns for process in processes])
    return Sampled(number, artifact, times[0][0].threads, processes, summary)
