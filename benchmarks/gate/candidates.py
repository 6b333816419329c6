"""What a gate judges: an artifact, where it ran if it did, and every figure known of it. Pure."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePath

from cnn_export.benchmarks.results.plan.coverage import PartCoverage
from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series
from cnn_export.benchmarks.results.setting import Setting, label_of
from cnn_export.benchmarks.runtimes.runtime_arguments import RUNTIME_OF_TARGET
from cnn_export.benchmarks.statistics.comparison import FEWEST_EACH, Comparison
from cnn_export.benchmarks.statistics.intervals import (
    MINIMUM_PROCESSES,
    Interval,
)

_NS_PER_MS = 1e6
_NO_RUN = "0" * 16
MEMORY_BOUNDS = frozenset({"peak_memory_bytes"})
PAIR_BOUNDS = frozenset({"regression_percent"})
TIME_BOUNDS = frozenset({"latency_ms", "latency_p90_ms", "load_ms"}) | PAIR_BOUNDS


@dataclasses.dataclass(frozen=True)
class Estimate:
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
    """``setting`` is ``None`` for a file that was only looked at; ``estimates`` go by bound."""

    artifact: Artifact
    setting: Setting | None
    estimates: dict[str, Estimate]

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
            "artifact": (artifact.name, PurePath(artifact.name).name),
            "model": (artifact.model,),
            "target": (artifact.target,),
            "precision": (artifact.precision,),
        }

    @property
    def label(self) -> str:
        """One line that tells it from the others."""
        return label_of(self.artifact, self.setting)


def exact(value: float) -> Estimate:
    """Return a figure that is known, not estimated."""
    return Estimate(Interval(value, value, value, 1.0))


def artifact_estimates(artifact: Artifact) -> dict[str, Estimate]:
    """Return what does not depend on a machine, as far as it is known."""
    known = {
        "file_bytes": artifact.file_bytes,
        "macs": artifact.macs,
        "mac_bytes": artifact.mac_bytes,
        "partitions": artifact.partitions,
    }
    return {name: exact(value) for name, value in known.items() if value is not None}


def series_estimates(series: Series) -> dict[str, Estimate]:
    """Return times in ms with intervals over processes, and peak memory in bytes."""
    estimates: dict[str, Estimate] = {}
    if series.processes:
        summary = series.summary
        times_ns = {
            "latency_ms": summary.p50,
            "latency_p90_ms": summary.p90,
            "load_ms": series.load,
        }
        estimates = {
            name: Estimate(_milliseconds(each), summary.processes, series.flags)
            for name, each in times_ns.items()
        }
    if (memory := series.peak_memory) is not None:
        estimates["peak_memory_bytes"] = exact(memory.peak_rss_bytes)
    return estimates


def _milliseconds(ns: Interval) -> Interval:
    # A quotient is rounded right: 12,000,000 ns are exactly 12 ms, the limit someone wrote.
    value, low, high = (each / _NS_PER_MS for each in (ns.value, ns.low, ns.high))
    return Interval(value, low, high, ns.confidence)


def regression_estimate(comparison: Comparison, flags: tuple[str, ...] = ()) -> Estimate:
    """Return how much slower the new artifact is, percent, with its interval."""
    ratio = comparison.ratio
    value, low, high = (100 * (each - 1) for each in (ratio.value, ratio.low, ratio.high))
    interval = Interval(value, low, high, ratio.confidence)
    fewest = FEWEST_EACH[1] * (2 if comparison.process_ratios else 1)
    return Estimate(interval, min(comparison.processes), flags, fewest, comparison)


def candidate_of_series(series: Series) -> Candidate:
    """Return what a gate judges of a measured artifact."""
    estimates = series_estimates(series) | artifact_estimates(series.artifact)
    return Candidate(series.artifact, series.setting, estimates)


def read_candidate(path: Path) -> Candidate:
    """Return what is known of the artifact at ``path``, which did not run.

    Its size, MACs, bytes moved and partitions. What the file itself can tell is the file's: a
    manifest that says otherwise is refused.

    Raises:
        InputRefused: artifact or manifest is missing or damaged, or they contradict each other.
        ParityError: the file is not the one its manifest was written for.
        TargetUnavailable: what reads the format is not installed.
    """
    from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files

    ((manifest, found),) = proven_files([path])
    artifact = artifact_record(manifest, found, path.name, _NO_RUN)
    return Candidate(artifact, None, artifact_estimates(artifact))


def candidates_of(results: Results) -> list[Candidate]:
    """Return one candidate per series, and one per pair's new artifact that has no series."""
    found = [candidate_of_series(series) for series in results.series]
    keys = {(each.artifact.sha256, each.setting) for each in found}
    for new in (paired.new for paired in results.pairs):
        key = (new.artifact.sha256, new.setting)
        if key not in keys:
            keys.add(key)
            found.append(Candidate(new.artifact, new.setting, artifact_estimates(new.artifact)))
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
        setting = candidate.setting
        return (
            setting is not None
            and candidate.artifact.sha256 == self.part.artifact.sha256
            and setting.place == self.part.place
        )


def shortfalls_of(results: Results) -> list[Shortfall]:
    """Return what the plans of a results file lack."""
    return [Shortfall(_planned(part), part) for part in results.missing]


def _planned(part: PartCoverage) -> Candidate:
    """Return the candidate of a part; perhaps nothing ran, so its runtime's version is open."""
    run, artifact = part.run, part.artifact
    runtime = RUNTIME_OF_TARGET.get(artifact.target, "")
    setting = Setting.of_run(run, runtime, "", run.runtime_args, part.threads)
    return Candidate(artifact, setting, artifact_estimates(artifact))


def pairs_of(candidate: Candidate, results: Results) -> list[PairedSeries]:
    """Return the pairs in which the candidate was the new artifact, in its setting."""
    key = (candidate.artifact.sha256, candidate.setting)
    return [each for each in results.pairs if (each.new.artifact.sha256, each.new.setting) == key]
