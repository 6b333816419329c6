"""What a gate judges: an artifact, where it ran if it did, and every figure known of it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from cnn_export.benchmarks.results.plan_coverage import PartCoverage
from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.results.series import Duel, Measurements, Series, Setting
from cnn_export.benchmarks.runtimes.runtime_arguments import RUNTIME_OF_TARGET, kept_arguments
from cnn_export.benchmarks.statistics.comparison import FEWEST_EACH, Comparison
from cnn_export.benchmarks.statistics.intervals import (
    MINIMUM_PROCESSES,
    Interval,
    median_interval,
    quantile_interval,
)

_NS_PER_MS = 1e6
MEMORY_BOUNDS = frozenset({"peak_memory_bytes"})
PAIR_BOUNDS = frozenset({"regression_percent"})
TIME_BOUNDS = frozenset({"latency_ms", "latency_p90_ms", "load_ms"}) | PAIR_BOUNDS


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure in the unit of its bound, and the unfit conditions (``flags``) it arose under.

    ``processes`` is ``None`` where it is known rather than estimated; ``fewest`` of them have an
    interval of 95 %. ``comparison`` is what a regression comes from.
    """

    interval: Interval
    processes: int | None = None
    flags: tuple[str, ...] = ()
    fewest: int = MINIMUM_PROCESSES
    comparison: Comparison | None = None


@dataclasses.dataclass(frozen=True)
class Candidate:
    """``setting`` is ``None`` for a file that was only looked at; ``figures`` go by bound."""

    artifact: Artifact
    setting: Setting | None
    figures: dict[str, Figure]

    @property
    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Names that a budget's globs may fit; a device goes by its id and by its model."""
        artifact, setting = self.artifact, self.setting
        ran = {"device": (), "runtime": (), "threads": ()}
        if setting is not None:
            device = setting.device
            ran = {
                "device": (device.id, device.model),
                "runtime": (setting.runtime,),
                "threads": (str(setting.threads),),
            }
        return ran | {
            "model": (artifact.model,),
            "target": (artifact.target,),
            "precision": (artifact.precision,),
        }

    @property
    def label(self) -> str:
        """One line that tells it from the others."""
        return f"{self.artifact.name} ({', '.join(self.circumstances)})"

    @property
    def circumstances(self) -> tuple[str, ...]:
        """Precision and, if it ran, device, runtime, its arguments, threads and affinity."""
        setting = self.setting
        if setting is None:
            return (self.artifact.precision,)
        count = f"{setting.threads} thread{'' if setting.threads == 1 else 's'}"
        arguments = (f"{key}={value}" for key, value in setting.runtime_args)
        runtime = f"{setting.runtime} {setting.runtime_version}".rstrip()
        cpus = (f"CPUs {','.join(map(str, setting.cpus))}",) if setting.cpus else ()
        return (self.artifact.precision, setting.device.id, runtime, *arguments, count, *cpus)


def exact(value: float) -> Figure:
    """Return a figure that is known, not estimated."""
    return Figure(Interval(value, value, value, 1.0))


def artifact_figures(artifact: Artifact) -> dict[str, Figure]:
    """Return what does not depend on a machine, as far as it is known."""
    known = {
        "file_bytes": artifact.file_bytes,
        "macs": artifact.macs,
        "mac_bytes": artifact.mac_bytes,
        "partitions": artifact.partitions,
    }
    return {name: exact(value) for name, value in known.items() if value is not None}


def series_figures(series: Series) -> dict[str, Figure]:
    """Return times in ms with intervals over processes, and peak memory in bytes."""
    figures: dict[str, Figure] = {}
    if series.times_ns:
        count = len(series.times_ns)
        times_ns = {
            "latency_ms": quantile_interval(series.times_ns, 0.5),
            "latency_p90_ms": quantile_interval(series.times_ns, 0.9),
            "load_ms": median_interval(np.asarray(series.load_ns, np.float64)),
        }
        figures = {
            name: Figure(_milliseconds(each), count, series.flags)
            for name, each in times_ns.items()
        }
    if series.peak_rss_bytes:
        figures["peak_memory_bytes"] = exact(max(series.peak_rss_bytes))
    return figures


def _milliseconds(ns: Interval) -> Interval:
    # A quotient is rounded right: 12,000,000 ns are exactly 12 ms, the limit someone wrote.
    value, low, high = (each / _NS_PER_MS for each in (ns.value, ns.low, ns.high))
    return Interval(value, low, high, ns.confidence)


def regression_figure(comparison: Comparison, flags: tuple[str, ...] = ()) -> Figure:
    """Return how much slower the new artifact is, percent, with its interval."""
    ratio = comparison.ratio
    value, low, high = (100 * (each - 1) for each in (ratio.value, ratio.low, ratio.high))
    interval = Interval(value, low, high, ratio.confidence)
    fewest = FEWEST_EACH[1] * (2 if comparison.process_ratios else 1)
    return Figure(interval, min(comparison.processes), flags, fewest, comparison)


def candidate_of_series(series: Series) -> Candidate:
    """Return what a gate judges of a measured artifact."""
    figures = series_figures(series) | artifact_figures(series.artifact)
    return Candidate(series.artifact, series.setting, figures)


def candidate_of_file(artifact: Artifact) -> Candidate:
    """Return what a gate judges of an artifact that did not run."""
    return Candidate(artifact, None, artifact_figures(artifact))


def candidates_of(measurements: Measurements) -> list[Candidate]:
    """Return one candidate per series, and one per duel's new artifact that has no series."""
    found = [candidate_of_series(series) for series in measurements.series]
    keys = {(each.artifact.sha256, each.setting) for each in found}
    for duel in measurements.duels:
        key = (duel.new.sha256, duel.new_setting)
        if key not in keys:
            keys.add(key)
            found.append(Candidate(duel.new, duel.new_setting, artifact_figures(duel.new)))
    return found


@dataclasses.dataclass(frozen=True)
class Shortfall:
    """A part of a plan that lacks processes, as the ``candidate`` that it is about."""

    candidate: Candidate
    part: PartCoverage

    @property
    def concerns(self) -> frozenset[str]:
        """The bounds whose figures come from such processes."""
        if self.part.kind == "memory":
            return MEMORY_BOUNDS
        return TIME_BOUNDS if self.part.kind == "time" else PAIR_BOUNDS

    def is_of(self, candidate: Candidate) -> bool:
        """Whether it is about the same file on the same device at the same threads."""
        return _place(self.candidate) == _place(candidate)


def shortfalls_of(measurements: Measurements) -> list[Shortfall]:
    """Return what the plans of a results file lack."""
    return [Shortfall(_planned(part), part) for part in measurements.missing]


def _planned(part: PartCoverage) -> Candidate:
    """Return the candidate of a part; perhaps nothing ran, so its runtime's version is open."""
    run, artifact = part.run, part.artifact
    runtime = RUNTIME_OF_TARGET.get(artifact.target, "")
    arguments = kept_arguments(runtime, run.runtime_args)
    cpus = tuple(sorted(run.cpus))
    setting = Setting(run.device, runtime, "", arguments, part.threads, cpus, run.fixed_performance)
    return Candidate(artifact, setting, artifact_figures(artifact))


def _place(candidate: Candidate) -> tuple[object, ...]:
    setting = candidate.setting
    ran = () if setting is None else (setting.device, setting.threads)
    return (candidate.artifact.sha256, *ran)


def duels_of(candidate: Candidate, duels: Sequence[Duel]) -> list[Duel]:
    """Return the duels in which the candidate was the new artifact, in its setting."""
    artifact, setting = candidate.artifact, candidate.setting
    return [
        duel for duel in duels if (duel.new.sha256, duel.new_setting) == (artifact.sha256, setting)
    ]
