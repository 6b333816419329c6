"""Which records of a results file count: known, of a plan, and there once. Pure.

Every reader asks here, so that none counts what another leaves out. Strict readers refuse the file
for what this names, others leave the record out and say so.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence

from cnn_export.benchmarks.results.plan.parts import PartKey, part_of, planned_parts
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Ending,
    Memory,
    Opinion,
    Pair,
    Record,
    Repeat,
    Run,
    Traffic,
)

_SHOWN = 12
"""Digits of a hash in a message."""
_FEWEST_SAMPLES, _FEWEST_TIMES = 16, 4
"""From so many inferences with so many different times, no two processes are alike by chance."""
_LOOKED_AT = 256
"""Inferences among which different times are sought."""
_OF_THE_FILE = {"model", "target", "precision", "file_bytes", "macs", "mac_bytes"}
"""What the bytes of an artifact and its manifest tell, on every device and in every run."""
_OF_THE_RUNTIME = {"delegate", "partitions", "ops_outside"}
"""What a runtime makes of a file when it loads it, another version perhaps otherwise."""
_MIDDLE = "do not cut or join results files in the middle of a run"


class RecordCheck:
    """Takes records in the order of the file, and remembers those that count."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._plans: dict[str, dict[PartKey, int]] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._times: dict[bytes, tuple[str, int]] = {}
        self._ran: dict[tuple[object, ...], tuple[object, ...]] = {}
        self._files: dict[tuple[str, str], dict[str, object]] = {}
        self._splits: dict[tuple[str, str], dict[str, object]] = {}

    def problem(self, record: Record) -> str | None:
        """Return why ``record`` does not count; ``None``: it does, and is remembered."""
        found = self._unknown(record) or self._unplanned(record) or self._contradicted(record)
        found = found or self._repeated(record)
        if found is None and isinstance(record, Run):
            self._runs[record.run_id] = record
            self._plans[record.run_id] = planned_parts(record)
        return found

    def _unknown(self, record: Record) -> str | None:
        if isinstance(record, Run):
            return None
        what = "an artifact" if isinstance(record, Artifact) else "a measurement"
        if record.run_id not in self._runs:
            return (
                f"{what} is of run {record.run_id}, which no 'run' line before it opens; {_MIDDLE}"
            )
        for sha256 in _artifacts(record):
            if ("artifact", record.run_id, sha256) not in self._seen:
                return (
                    f"a measurement is of artifact {sha256[:_SHOWN]}…, which no 'artifact' line of"
                    f" run {record.run_id} describes; {_MIDDLE}"
                )
        return None

    def _unplanned(self, record: Record) -> str | None:
        if isinstance(record, Run):
            return None
        run, parts = self._runs[record.run_id], self._plans[record.run_id]
        match record:
            case Artifact():
                planned = record.sha256 in run.artifacts
            case Opinion() | Traffic():
                planned = not run.compare and record.threads in run.threads
            case Ending():
                processes = parts.get(part_of(record), -1)
                whole = record.outcome == "measured"
                planned = record.processes <= processes
                planned = planned and whole == (record.processes == processes)
            case Memory():
                planned = part_of(record) in parts
            case Repeat() | Pair():
                in_order = record.position < sum(parts.values())
                planned = record.repeat < parts.get(part_of(record), 0) and in_order
        return (
            None
            if planned
            else f"a {record.cnn_bench!r} line is not of the plan of run {run.run_id}"
        )

    def _contradicted(self, record: Record) -> str | None:
        """Return what a record says otherwise than those before it, of one file or one part."""
        if isinstance(record, Artifact):
            facts = record.model_dump(include=_OF_THE_FILE, exclude_none=True)
            split = record.model_dump(include=_OF_THE_RUNTIME, exclude_none=True)
            self._splits.setdefault((record.run_id, record.sha256), split)
            return self._otherwise(record.sha256, "", facts)
        if isinstance(record, Repeat | Memory | Pair):
            for key, setting in _settings(record).items():
                if self._ran.setdefault(key, setting) != setting:
                    return (
                        f"run {record.run_id} measured {_artifacts(record)[-1][:_SHOWN]}… in two"
                        " runtimes, versions or with two sets of arguments; a run has one"
                    )
            for sha256, ran in _loaded(record):
                split = self._splits[record.run_id, sha256]
                if words := self._otherwise(sha256, ran, split):
                    return words
        return None

    def _otherwise(self, sha256: str, ran: str, facts: dict[str, object]) -> str | None:
        """Return which of a file's figures were told otherwise before; those unknown never are."""
        before = self._files.setdefault((sha256, ran), {})
        differing = [key for key in facts if before.get(key, facts[key]) != facts[key]]
        if differing:
            return (
                f"two 'artifact' lines of {sha256[:_SHOWN]}… contradict each other in"
                f" {', '.join(differing)}; measure again into a new --out"
            )
        before.update(facts)
        return None

    def _repeated(self, record: Record) -> str | None:
        if isinstance(record, Ending):  # the last of several counts
            return None
        kind, run_id, *of = key = identity(record)
        if key in self._seen:
            what = ", ".join(str(each)[:_SHOWN] for each in of)
            return (
                f"run {run_id} has two {kind!r} lines{' of ' if what else ''}{what}; "
                "keep one of the two"
            )
        if copied := self._copied(record):
            return copied
        self._seen.add(key)
        return None

    def _copied(self, record: Record) -> str | None:
        if not isinstance(record, Repeat | Pair):
            return None
        process = (record.run_id, record.repeat)
        marks, certain = _fingerprints(record, self._runs[record.run_id].device.id)
        for mark in marks:
            other = self._times.get(mark)
            # A coarse clock may tell a few times twice, but hardly all of them in two runs.
            if other is not None and (certain or other[0] != record.run_id):
                return f"{_named(process)} is a copy of {_named(other)}; keep one of the two"
        self._times |= dict.fromkeys(marks, process)
        return None


def identity(record: Record) -> tuple[object, ...]:
    """Return what no two different records of a file share: kind, run, and what it is of."""
    match record:
        case Run():
            return ("run", record.run_id)
        case Artifact():
            return ("artifact", record.run_id, record.sha256)
        case Repeat() | Pair():
            threads = f"{record.threads} threads"
            of = (*_artifacts(record), f"repeat {record.repeat}", threads)
            return (record.cnn_bench, record.run_id, *of)
        case Memory() | Traffic():
            return (record.cnn_bench, record.run_id, record.artifact, f"{record.threads} threads")
        case Opinion():
            threads = f"{record.threads} threads"
            return ("opinion", record.run_id, record.artifact, threads, record.tool)
        case Ending():
            part = part_of(record)
            return ("ending", record.run_id, record.kind, *part.artifacts, record.threads)


def _artifacts(record: Record) -> tuple[str, ...]:
    match record:
        case Run() | Artifact():
            return ()
        case Pair():
            return (record.a, record.b)
        case Ending():
            return tuple(record.artifacts)
        case _:
            return (record.artifact,)


def _loaded(record: Repeat | Memory | Pair) -> list[tuple[str, str]]:
    """Return the artifacts of a process, each with what loaded it."""
    if isinstance(record, Pair):
        ran = zip(record.runtimes, record.runtime_versions, strict=True)
        return list(zip(_artifacts(record), map(" ".join, ran), strict=True))
    return [(record.artifact, f"{record.runtime} {record.runtime_version}")]


def _settings(record: Repeat | Memory | Pair) -> dict[tuple[object, ...], tuple[object, ...]]:
    """Return what all processes of a part have in common; memory is told without arguments."""
    part = (record.run_id, _artifacts(record), record.threads)
    if isinstance(record, Memory):
        return {part: (record.runtime, record.runtime_version)}
    arguments = tuple(sorted(record.runtime_args.items()))
    if isinstance(record, Pair):
        return {part: (record.runtimes, record.runtime_versions, arguments)}
    ran = (record.runtime, record.runtime_version)
    return {part: ran, (*part, "arguments"): arguments}


def _fingerprints(record: Repeat | Pair, device: str) -> tuple[list[bytes], bool]:
    """Return digests that copies share, and whether nothing else can.

    Of long series it is each side's times, of short ones everything that was timed.
    """
    sides = (record.samples_ns,) if isinstance(record, Repeat) else (record.a_ns, record.b_ns)
    long = [each for each in sides if len(each) >= _FEWEST_SAMPLES]
    if varied := [each for each in long if len(set(each[:_LOOKED_AT])) >= _FEWEST_TIMES]:
        return [_digest("times", each) for each in varied], True
    of = f"{device} {part_of(record).artifacts} {record.threads}"
    more = (record.load_ns, record.first_ns) if isinstance(record, Repeat) else ()
    return [_digest(of, [*more, *(ns for side in sides for ns in side)])], False


def _digest(of: str, times_ns: Sequence[int]) -> bytes:
    return hashlib.sha256(of.encode() + b"\0" + array("q", times_ns).tobytes()).digest()


def _named(process: tuple[str, int]) -> str:
    run_id, repeat = process
    return f"repeat {repeat} of run {run_id}"
