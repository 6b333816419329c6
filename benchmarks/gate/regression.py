"""How much slower an artifact has become: from a baseline file, or from shared processes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.gate.baseline import counterpart, is_version
from cnn_export.benchmarks.gate.candidates import Candidate, Figure, duels_of, regression_figure
from cnn_export.benchmarks.results.recorded_pairs import compare_recorded
from cnn_export.benchmarks.results.series import Duel, Measurements, Series, common_flags
from cnn_export.benchmarks.statistics.comparison import Comparison, compare_separate
from cnn_export.errors import InputRefused


def compared(base: Series, new: Series) -> Comparison:
    """Compare two series of separate processes.

    Raises:
        InputRefused: a process has a median of zero.
    """
    try:
        return compare_separate(base.times_ns, new.times_ns)
    except ValueError as error:
        raise InputRefused(f"{new.artifact.name} cannot be compared: {error}") from error


def compared_duel(duel: Duel) -> Comparison:
    """Compare two artifacts that took turns in the same processes.

    Raises:
        InputRefused: a process has a time of zero or did not alternate.
    """
    return compare_recorded(duel.base, duel.new, duel.pairs, duel.new_loaded_first)


class Regressions:
    """Answers for each candidate how much slower it is.

    With a ``baseline`` its counterpart there counts, else the duels of ``results`` in which it
    was the new artifact.
    """

    def __init__(
        self,
        results: Measurements | None,
        baseline: Measurements | None,
        ignored_flags: Sequence[str] = (),
    ) -> None:
        self._results = results
        self._baseline = baseline
        self._ignored_flags = ignored_flags

    def __call__(self, candidate: Candidate) -> Figure | None:
        """Return the regression, percent; ``None`` where there is nothing to compare with.

        Raises:
            InputRefused: what there is ran elsewhere or otherwise; names the differing fields.
        """
        if self._results is None or candidate.setting is None:
            return None
        if self._baseline is None:
            return _from_duels(candidate, self._results.duels)
        series = _series_of(candidate, self._results)
        base = series and counterpart(series, self._baseline.series, self._ignored_flags)
        if base is None or series is None:
            return None
        flags = tuple(sorted({*base.flags, *series.flags}))
        return regression_figure(compared(base, series), flags)


def _series_of(candidate: Candidate, results: Measurements) -> Series | None:
    """Return the candidate's timed series; one that only took turns has none."""
    for series in results.series:
        same = (series.artifact.sha256, series.setting)
        if series.times_ns and same == (candidate.artifact.sha256, candidate.setting):
            return series
    return None


def _from_duels(candidate: Candidate, duels: Sequence[Duel]) -> Figure | None:
    found = duels_of(candidate, duels)
    if not found:
        return None
    if len(found) > 1:
        raise InputRefused(
            f"{candidate.artifact.name} took turns with several artifacts; "
            "keep one comparison in the file, or give --baseline"
        )
    duel = found[0]
    if not is_version(duel.base, duel.new):
        raise InputRefused(
            f"{duel.new.name} took turns with {duel.base.name}, which is no version of it "
            "(other model, target or precision); compare it with its own earlier version"
        )
    if fields := duel.base_setting.differences(duel.new_setting):
        raise InputRefused(
            f"{duel.new.name} took turns with {duel.base.name} under other conditions: "
            f"{'; '.join(fields)}"
        )
    return regression_figure(compared_duel(duel), common_flags(duel.process_flags))
