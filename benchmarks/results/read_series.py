"""The one reader of a results file: one line in memory at a time, eight bytes a sample kept.

Strict where what is read is judged: a damaged, foreign or repeated line refuses the file, and
``cnn-bench run --resume`` sets a torn last line aside; other damage is removed by hand. Lenient
where it is only shown: such lines are left out, and the result tells which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.results.plan.coverage import Coverage
from cnn_export.benchmarks.results.plan.missing import missing_lines
from cnn_export.benchmarks.results.record_check import RecordCheck
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Memory,
    Opinion,
    Pair,
    Record,
    Repeat,
    Run,
    Traffic,
)
from cnn_export.benchmarks.results.results_file import BadLine, read_records
from cnn_export.benchmarks.results.series import PairedSeries, Process, Results, Series
from cnn_export.benchmarks.results.setting import Place, Setting
from cnn_export.errors import InputRefused

_Subject = tuple[tuple[str, ...], Place]
"""SHA-256 of one artifact or of a pair, and where it was measured."""


def read_results(path: Path, *, lenient: bool = False) -> Results:
    """Read ``path``; processes of several runs in one setting are one series.

    Raises:
        InputRefused: the file cannot be read or holds no measurement at all; or, unless
            ``lenient``, it has a line that is damaged, foreign, repeated or of no plan, a
            measurement whose run or artifact no line describes, or lacks lines that its endings
            tell of.
    """
    found = results_of(read_records(path), str(path), lenient=lenient)
    if not found.timed and not found.pairs and not any(each.memories for each in found.series):
        first = "".join(f" ({line})" for line in missing_lines(found.missing)[:1])
        raise InputRefused(
            f"{path}: holds no measurement{first}; run 'cnn-bench run … --out FILE' first"
        )
    return found


def results_of(lines: Iterable[Record | BadLine], source: str, *, lenient: bool = False) -> Results:
    """Return what the lines of ``source`` hold, perhaps nothing.

    Raises:
        InputRefused: as :func:`read_results`, unless ``lenient``.
    """
    gathered = _Gathered(source, lenient=lenient)
    # `map` lets go of each record before the next is read; a loop variable would not.
    for _ in map(gathered.add, lines):
        pass
    return gathered.results()


@dataclasses.dataclass
class _Parts:
    """A series while its processes come in: ``(process, load, first)``, of pairs without both."""

    artifact: Artifact
    setting: Setting
    processes: list[tuple[Process, int, int]] = dataclasses.field(
        default_factory=list[tuple[Process, int, int]]
    )
    memories: list[Memory] = dataclasses.field(default_factory=list[Memory])


@dataclasses.dataclass
class _PairedParts:
    """Paired series while their processes come in: ``(base, new, whether new came first)``."""

    base: tuple[Artifact, Setting]
    new: tuple[Artifact, Setting]
    processes: list[tuple[Process, Process, bool]] = dataclasses.field(
        default_factory=list[tuple[Process, Process, bool]]
    )


class _Gathered:
    """Takes the lines of ``source`` in their order; keeps times as arrays."""

    def __init__(self, source: str, *, lenient: bool) -> None:
        self._source = source
        self._lenient = lenient
        self._runs: dict[str, Run] = {}
        self._run_numbers: dict[str, int] = {}
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self._check = RecordCheck()
        self._coverage = Coverage()
        self._series: dict[tuple[str, Setting], _Parts] = {}
        self._pairs: dict[tuple[str, str, Setting, Setting], _PairedParts] = {}
        self._opinions: list[Opinion] = []
        self._traffic: list[Traffic] = []
        self._bad_lines: list[BadLine] = []
        self._uncounted: list[str] = []

    def add(self, line: Record | BadLine) -> None:
        """Take one line.

        Raises:
            InputRefused: it does not count, and the file is read strictly.
        """
        if isinstance(line, BadLine):
            self._bad_lines.append(line)
            self._refuse(_complaint(line, Path(self._source).name))
        elif (problem := self._check.problem(line)) is not None:
            self._uncounted.append(problem)
            self._refuse(problem)
        else:
            self._coverage.add(line)
            self._keep(line)

    def results(self) -> Results:
        """Return what was gathered.

        Raises:
            InputRefused: lines were taken out, and the file is read strictly.
        """
        if (removed := self._coverage.removed_lines()) is not None:
            self._refuse(
                f"{removed}: lines are gone from the file; complete the run with the same "
                "'cnn-bench run' and --resume, or measure again"
            )
        missing = self._coverage.missing()
        lacking = {part.key for part in missing if part.kind != "memory"}
        return Results(
            source=self._source,
            runs=tuple(self._runs.values()),
            artifacts=self._artifacts,
            series=self._finished_series(lacking),
            pairs=self._finished_pairs(lacking),
            missing=missing,
            opinions=self._opinions,
            traffic=self._traffic,
            bad_lines=self._bad_lines,
            uncounted=self._uncounted,
            removed_lines=removed,
        )

    def _refuse(self, why: str) -> None:
        if not self._lenient:
            raise InputRefused(f"{self._source}: {why}")

    def _keep(self, record: Record) -> None:
        match record:
            case Run():
                self._run_numbers[record.run_id] = len(self._runs)
                self._runs[record.run_id] = record
            case Artifact():
                self._artifacts[record.run_id, record.sha256] = record
            case Repeat():
                parts = self._parts(record, record.runtime_args)
                process = _process(record, record.samples_ns)
                parts.processes.append((process, record.load_ns, record.first_ns))
            case Pair():
                self._keep_pair(record)
            case Memory():
                arguments = self._runs[record.run_id].runtime_args
                self._parts(record, arguments).memories.append(record)
            case Opinion():
                self._opinions.append(record.model_copy(update={"raw_ns": None}))
            case Traffic():
                self._traffic.append(record)
            case _:
                pass  # the coverage has it

    def _parts(self, record: Repeat | Memory, arguments: dict[str, str]) -> _Parts:
        artifact = self._artifacts[record.run_id, record.artifact]
        setting = Setting.of_run(
            self._runs[record.run_id],
            record.runtime,
            record.runtime_version,
            arguments,
            record.threads,
        )
        return self._series.setdefault((record.artifact, setting), _Parts(artifact, setting))

    def _keep_pair(self, record: Pair) -> None:
        run = self._runs[record.run_id]
        base, new = (
            (
                self._artifacts[record.run_id, sha256],
                Setting.of_run(run, runtime, version, record.runtime_args, record.threads),
            )
            for sha256, runtime, version in zip(
                (record.a, record.b), record.runtimes, record.runtime_versions, strict=True
            )
        )
        key = (record.a, record.b, base[1], new[1])
        parts = self._pairs.setdefault(key, _PairedParts(base, new))
        sides = (_process(record, record.a_ns), _process(record, record.b_ns))
        parts.processes.append((*sides, record.b_loaded_first))

    def _finished_series(self, lacking: set[_Subject]) -> list[Series]:
        found: list[Series] = []
        for parts in self._series.values():
            ordered = sorted(parts.processes, key=lambda each: self._order(each[0]))
            found.append(
                Series(
                    artifact=parts.artifact,
                    setting=parts.setting,
                    processes=tuple(process for process, _, _ in ordered),
                    load_ns=tuple(load_ns for _, load_ns, _ in ordered),
                    first_ns=tuple(first_ns for _, _, first_ns in ordered),
                    memories=tuple(parts.memories),
                    complete=((parts.artifact.sha256,), parts.setting.place) not in lacking,
                )
            )
        return sorted(found, key=self._plan_order)

    def _finished_pairs(self, lacking: set[_Subject]) -> list[PairedSeries]:
        found: list[PairedSeries] = []
        for parts in self._pairs.values():
            ordered = sorted(parts.processes, key=lambda each: self._order(each[0]))
            hashes = (parts.base[0].sha256, parts.new[0].sha256)
            found.append(
                PairedSeries(
                    base=Series(*parts.base, tuple(base for base, _, _ in ordered)),
                    new=Series(*parts.new, tuple(new for _, new, _ in ordered)),
                    new_loaded_first=tuple(first for _, _, first in ordered),
                    complete=(hashes, parts.new[1].place) not in lacking,
                )
            )
        return sorted(found, key=lambda each: self._plan_order(each.new))

    def _order(self, process: Process) -> tuple[int, int]:
        """Return what sorts processes: the runs of the file, and their plans."""
        return self._run_numbers[process.run_id], process.position

    def _plan_order(self, series: Series) -> tuple[int, int, int]:
        """Return what sorts series: the first run that has it, and its artifacts and threads."""
        artifact = series.artifact
        run = self._runs[artifact.run_id]
        return (
            self._run_numbers[run.run_id],
            run.artifacts.index(artifact.sha256),
            series.setting.threads,
        )


def _process(record: Repeat | Pair, samples_ns: list[int]) -> Process:
    times_ns = np.asarray(samples_ns, dtype=np.int64)
    return Process(record.run_id, record.position, times_ns, record.conditions)


def _complaint(bad: BadLine, name: str) -> str:
    if bad.foreign:
        return f"line {bad.number} is {bad.reason}; remove it, or give the right file"
    return (
        f"line {bad.number} is damaged ({bad.reason}); remove line {bad.number} of {name}, then "
        "complete the run with the same 'cnn-bench run' and --resume"
    )
