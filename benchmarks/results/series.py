"""What was measured: per artifact and setting its processes, and every figure derived from them.

All that is shown or judged comes from here, so that no two readers of a file differ. Processes of
several runs are one series where artifact (its bytes) and setting are equal: the process is the
statistical unit, whichever run it is of, and what changed between the runs belongs into the
interval. Who measures again until a verdict pleases has more false alarms than the interval says;
plan the number of processes. Pure.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cnn_export.benchmarks.results.plan.coverage import PartCoverage
from cnn_export.benchmarks.results.record_types import (
    Artifact,
    Conditions,
    Memory,
    Opinion,
    Run,
    Traffic,
)
from cnn_export.benchmarks.results.results_file import BadLine
from cnn_export.benchmarks.results.setting import Setting
from cnn_export.benchmarks.statistics.comparison import (
    Comparison,
    compare,
    compare_separate,
    of_incomplete,
)
from cnn_export.benchmarks.statistics.intervals import FloatArray, Interval, median_interval
from cnn_export.benchmarks.statistics.summary import Summary, summarize
from cnn_export.errors import InputRefused

Nanoseconds = npt.NDArray[np.int64]
"""Shape ``(inferences,)``, in their order."""

_FLAG_SHARE = 0.5
"""Share of the processes that makes a flag the series' own: from there on the median bears it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Process:
    """What one artifact did in one worker process; ``position`` is its place in the run's order."""

    run_id: str
    position: int
    times_ns: Nanoseconds
    conditions: Conditions

    @property
    def median_ns(self) -> float:
        """The number that stands for the process."""
        return float(np.median(self.times_ns))


@dataclasses.dataclass(frozen=True, eq=False)
class Series:
    """One artifact in one setting; its processes are in the order of runs and of their plans.

    ``load_ns`` and ``first_ns`` have one entry per process, none where two artifacts shared them.
    ``memories`` are of processes that time nothing. A series that is not ``complete`` lacks
    planned processes.
    """

    artifact: Artifact
    setting: Setting
    processes: Sequence[Process]
    load_ns: Sequence[int] = ()
    first_ns: Sequence[int] = ()
    memories: Sequence[Memory] = ()
    complete: bool = True

    @property
    def times_ns(self) -> list[Nanoseconds]:
        """Times of each process."""
        return [process.times_ns for process in self.processes]

    @cached_property
    def summary(self) -> Summary:
        """Times over processes.

        Raises:
            ValueError: there is no process.
        """
        return summarize(self.times_ns)

    @cached_property
    def load(self) -> Interval:
        """Nanoseconds of loading, over processes."""
        return median_interval(self.load_ns)

    @property
    def first(self) -> float:
        """Nanoseconds of the first inference, the median over processes."""
        return statistics.median(self.first_ns)

    @property
    def peak_memory(self) -> Memory | None:
        """The largest peak that was found."""
        return max(self.memories, key=lambda each: each.peak_rss_bytes, default=None)

    @property
    def flag_counts(self) -> dict[str, int]:
        """How many processes carry each unfit condition, sorted by its name."""
        found = Counter(flag for each in self.processes for flag in set(each.conditions.flags))
        return dict(sorted(found.items()))

    @property
    def flags(self) -> tuple[str, ...]:
        """Unfit conditions of at least half of the processes, sorted."""
        least = _FLAG_SHARE * len(self.processes)
        return tuple(flag for flag, count in self.flag_counts.items() if count >= least)

    @property
    def delegate(self) -> str | None:
        """The delegate in use, which a runtime argument may have turned off."""
        off = ("xnnpack", "off") in self.setting.runtime_args
        return None if off else self.artifact.delegate

    def is_timed_in(self, run_id: str) -> bool:
        """Whether the run holds a timed process of it."""
        return any(process.run_id == run_id for process in self.processes)

    def is_of(self, run_ids: Collection[str]) -> bool:
        """Whether one of the runs measured it."""
        found = (*self.processes, *self.memories)
        return any(each.run_id in run_ids for each in found)


@dataclasses.dataclass(frozen=True, eq=False)
class PairedTimes:
    """Times of two artifacts that were interleaved in the same processes.

    ``new_loaded_first`` says for each process whether the new one was loaded before the base.
    """

    base_ns: Sequence[FloatArray | Nanoseconds]
    new_ns: Sequence[FloatArray | Nanoseconds]
    new_loaded_first: Sequence[bool]

    def compared(self) -> Comparison:
        """Return new over base.

        Raises:
            ValueError: as :func:`~cnn_export.benchmarks.statistics.comparison.compare`.
        """
        return compare(list(zip(self.base_ns, self.new_ns, strict=True)), self.new_loaded_first)

    def in_loading_order(self) -> list[tuple[FloatArray | Nanoseconds, FloatArray | Nanoseconds]]:
        """Return per process the times of the one that was loaded first, and of the other."""
        sides = zip(self.base_ns, self.new_ns, self.new_loaded_first, strict=True)
        return [(new, base) if swapped else (base, new) for base, new, swapped in sides]


@dataclasses.dataclass(frozen=True, eq=False)
class PairedSeries:
    """Two artifacts that were interleaved in the same processes, which ``base`` and ``new`` share.

    ``new_loaded_first`` is as of :class:`PairedTimes`, ``complete`` as of :class:`Series`.
    """

    base: Series
    new: Series
    new_loaded_first: Sequence[bool]
    complete: bool = True

    @property
    def times(self) -> PairedTimes:
        """The times of both."""
        return PairedTimes(self.base.times_ns, self.new.times_ns, self.new_loaded_first)

    @cached_property
    def comparison(self) -> Comparison:
        """New over base; without planned processes it shows no more than that it is slower.

        Raises:
            InputRefused: a process has a time of zero or was not interleaved.
        """
        try:
            found = self.times.compared()
        except ValueError as error:
            names = f"{self.new.artifact.name} and {self.base.artifact.name}"
            raise InputRefused(f"{names} cannot be compared: {error}; measure again") from error
        return found if self.complete else of_incomplete(found)


@dataclasses.dataclass(frozen=True, eq=False)
class Results:
    """Everything of one results file, in the order of its runs and of their plans.

    ``artifacts`` are what each run says of each file, by run and SHA-256, ``missing`` the parts of
    the plans that lack processes. Where the file was read leniently, ``bad_lines`` are no records,
    ``uncounted`` says of each record that does not count why, ``removed_lines`` what no run leaves.
    """

    source: str
    runs: Sequence[Run]
    artifacts: Mapping[tuple[str, str], Artifact]
    series: Sequence[Series]
    pairs: Sequence[PairedSeries]
    missing: Sequence[PartCoverage] = ()
    opinions: Sequence[Opinion] = ()
    traffic: Sequence[Traffic] = ()
    bad_lines: Sequence[BadLine] = ()
    uncounted: Sequence[str] = ()
    removed_lines: str | None = None

    @property
    def timed(self) -> list[Series]:
        """The series that have times; others have peak memory alone."""
        return [series for series in self.series if series.processes]

    @property
    def missing_timed(self) -> list[PartCoverage]:
        """The parts that lack timed processes."""
        return [part for part in self.missing if part.kind != "memory"]

    @property
    def several_devices(self) -> bool:
        """Whether a row has to say where it was measured."""
        return len({run.device.id for run in self.runs}) > 1

    def described(self, run_id: str, sha256: str) -> tuple[str, Artifact]:
        """Return the device of a run, and what the run says of one of its artifacts."""
        device = next(run.device.id for run in self.runs if run.run_id == run_id)
        return device, self.artifacts[run_id, sha256]

    def timed_in(self, run_id: str, sha256: str, threads: int) -> Series | None:
        """Return the series that holds an artifact's timed processes of a run, if any."""
        for series in self.timed:
            same = (series.artifact.sha256, series.setting.threads) == (sha256, threads)
            if same and series.is_timed_in(run_id):
                return series
        return None

    def of_runs(self, run_ids: Collection[str]) -> Results:
        """Return what some runs measured or lack; their series hold other runs' processes too."""
        runs = [run for run in self.runs if run.run_id in run_ids]
        groups = {run.group for run in runs if run.group is not None}
        return dataclasses.replace(
            self,
            runs=runs,
            series=[each for each in self.series if each.is_of(run_ids)],
            pairs=[each for each in self.pairs if each.new.is_of(run_ids)],
            missing=[
                part
                for part in self.missing
                if part.run.run_id in run_ids or part.run.group in groups
            ],
            opinions=[each for each in self.opinions if each.run_id in run_ids],
            traffic=[each for each in self.traffic if each.run_id in run_ids],
        )


def compared(base: Series, new: Series) -> Comparison:
    """Compare two series of separate processes, new over base.

    Without planned processes it shows no more than that it is slower.

    Raises:
        InputRefused: a process has a median of zero.
    """
    try:
        found = compare_separate(base.times_ns, new.times_ns)
    except ValueError as error:
        raise InputRefused(f"{new.artifact.name} cannot be compared: {error}") from error
    return found if base.complete and new.complete else of_incomplete(found)
