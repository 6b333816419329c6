"""What runs planned, and what a results file holds of it. Pure.

The one place that counts whether a measurement is complete; series carry its answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal

from cnn_export.benchmarks.results.plan.parts import PartKey, part_of, planned_parts
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Ending,
    Memory,
    Pair,
    Part,
    Record,
    Repeat,
    Run,
)
from cnn_export.benchmarks.results.setting import Place

Outcome = Literal["measured", "failed", "lost"]


@dataclasses.dataclass(frozen=True)
class PartCoverage:
    """A part of ``run``'s plan with the processes ``kept`` of those ``planned``.

    ``reason`` is what a failed or lost part ended with, as far as somebody could still say.
    ``resumable`` tells whether it is the last run on its device, which ``--resume`` completes.
    """

    run: Run
    kind: Part
    artifacts: tuple[Artifact, ...]
    threads: int
    planned: int
    kept: int
    outcome: Outcome
    reason: str | None
    resumable: bool

    @property
    def artifact(self) -> Artifact:
        """What it is about: of a pair, the new one."""
        return self.artifacts[-1]

    @property
    def key(self) -> tuple[tuple[str, ...], Place]:
        """SHA-256 of its artifacts and their place, as series of all runs have them."""
        hashes = tuple(each.sha256 for each in self.artifacts)
        return hashes, self.place

    @property
    def place(self) -> Place:
        """Where it was to be measured."""
        return Place(self.run.device.id, self.threads)

    @property
    def label(self) -> str:
        """Return ``net.tflite at 2 threads on host``; pairs and memory are told as such."""
        count = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        base = f" against {self.artifacts[0].name}" if self.kind == "pair" else ""
        memory = "memory of " if self.kind == "memory" else ""
        return f"{memory}{self.artifact.name}{base} at {count} on {self.run.device.id}"


class Coverage:
    """Takes the records of a file in their order; keeps what plans and endings say."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._runs: dict[str, Run] = {}
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self._kept: dict[PartKey, set[int]] = {}
        self._endings: dict[PartKey, Ending] = {}
        self._failures: dict[PartKey, Ending] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take one record; those that are no part of a plan say nothing here."""
        match record:
            case Run():
                self._runs[record.run_id] = record
            case Artifact():
                self._artifacts[record.run_id, record.sha256] = record
            case Ending():
                self._add_ending(record)
            case Memory():
                self._kept.setdefault(part_of(record), set()).add(0)
            case Repeat() | Pair():
                self._kept.setdefault(part_of(record), set()).add(record.repeat)
            case _:
                return

    def missing(self) -> list[PartCoverage]:
        """Return the parts of a file that lack processes and whose artifacts are described."""
        return [
            self._part(run, key, planned)
            for run in [*self._runs.values(), *self._never_begun()]
            for key, planned in planned_parts(run).items()
            if self._count(key) < planned and self._described(key)
        ]

    def removed_lines(self) -> str | None:
        """Say what no run leaves, however it ended: lines were taken out of the file."""
        for run in self._runs.values():
            parts = planned_parts(run)
            endings = [self._endings[key] for key in parts if key in self._endings]
            # A failure is told at once, the other parts together when the call is over.
            ended = any(ending.outcome != "failed" for ending in endings)
            for key, planned in parts.items():
                if self._count(key) < planned and (words := self._removed(run, key, ended=ended)):
                    return words
        return None

    def _never_begun(self) -> Iterator[Run]:
        """Return the runs of devices that a call names and that none of its runs is on.

        Each has the plan and the artifacts of another run of the call, and no process.
        """
        asked_for: dict[tuple[str, str], Run] = {}
        begun: set[tuple[str, str]] = set()
        for run in self._runs.values():
            if run.group is not None:
                begun.add((run.group, run.device.id))
                asked_for |= {(run.group, each): run for each in run.group_devices or ()}
        for (group, name), run in asked_for.items():
            if (group, name) not in begun:
                yield self._unbegun(run, name)

    def _unbegun(self, run: Run, device: str) -> Run:
        run_id = f"{run.run_id} on {device}"
        for sha256 in run.artifacts:
            if (described := self._artifacts.get((run.run_id, sha256))) is not None:
                self._artifacts[run_id, sha256] = described
        facts = {"id": device, "model": "unknown", "system": "unknown"}
        on_device = run.device.model_copy(update=facts)
        return run.model_copy(update={"run_id": run_id, "device": on_device})

    def _add_ending(self, record: Ending) -> None:
        """Keep the one that tells of the most processes, and of failures that as well.

        A part only ever gains processes, so lines in another order mean the same.
        """
        key = part_of(record)
        for kept in (self._endings, *([self._failures] if record.outcome == "failed" else [])):
            if key not in kept or _weight(record) > _weight(kept[key]):
                kept[key] = record

    def _removed(self, run: Run, key: PartKey, *, ended: bool) -> str | None:
        where = f"run {run.run_id}"
        if not self._described(key):
            return f"{where} plans an artifact that no 'artifact' line describes"
        part = self._part(run, key, 0)
        kept = self._kept.get(key, set())
        ending = self._endings.get(key)
        if ending is None and ended:
            return f"{where} has no 'ending' line of {part.label}, and has them of others"
        if ending is not None and ending.processes > len(kept):
            return (
                f"{where} has {len(kept)} processes of {part.label}, and its 'ending' line tells of"
                f" {ending.processes}"
            )
        if kept and max(kept) != len(kept) - 1:
            return f"{where} lacks a process of {part.label} between others"
        return None

    def _part(self, run: Run, key: PartKey, planned: int) -> PartCoverage:
        kept = self._count(key)
        ending = self._endings.get(key)
        if ending is not None and ending.processes != kept:
            ending = None  # there are more processes than it tells of: a later call was killed
        # What failed once is good when it is whole: no later call or cut makes it merely lost.
        failure = self._failures.get(key)
        reason = "the run was killed, or its end cut off" if ending is None else ending.reason
        return PartCoverage(
            run=run,
            kind=key.kind,
            artifacts=tuple(self._artifacts[run.run_id, each] for each in key.artifacts),
            threads=key.threads,
            planned=planned,
            kept=kept,
            outcome="lost" if failure is None else "failed",
            reason=reason if failure is None else failure.reason,
            resumable=self._is_last(run),
        )

    def _count(self, key: PartKey) -> int:
        return len(self._kept.get(key, ()))

    def _described(self, key: PartKey) -> bool:
        return all((key.run_id, each) in self._artifacts for each in key.artifacts)

    def _is_last(self, run: Run) -> bool:
        def of_group(other: Run) -> bool:
            return run.group is not None and other.group == run.group

        runs = self._runs.values()
        later = [each for each in runs if each.device.id == run.device.id or of_group(each)]
        return later[-1] is run or of_group(later[-1])


def _weight(ending: Ending) -> tuple[int, bool]:
    return ending.processes, ending.outcome == "failed"
