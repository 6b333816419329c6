"""How much slower an artifact has become: from a baseline file, or from shared processes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.gate.candidates import (
    Candidate,
    Estimate,
    pairs_of,
    regression_estimate,
)
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series, compared
from cnn_export.benchmarks.results.versions import counterpart, is_version
from cnn_export.errors import InputRefused


class Regressions:
    """Answers for each candidate how much slower it is.

    With a ``baseline`` its counterpart there counts, else the pairs of ``results`` in which it
    was the new artifact.
    """

    def __init__(
        self,
        results: Results | None,
        baseline: Results | None,
        ignored_flags: Sequence[str] = (),
    ) -> None:
        self._results = results
        self._baseline = baseline
        self._ignored_flags = ignored_flags

    def __call__(self, candidate: Candidate) -> Estimate | None:
        """Return the regression, percent; ``None`` where there is nothing to compare with.

        Raises:
            InputRefused: what there is ran elsewhere or otherwise; names the differing fields.
        """
        if self._results is None or candidate.setting is None:
            return None
        if self._baseline is None:
            return _from_pairs(pairs_of(candidate, self._results))
        series = _series_of(candidate, self._results)
        base = series and counterpart(series, self._baseline.series, self._ignored_flags)
        if base is None or series is None:
            return None
        flags = tuple(sorted({*base.flags, *series.flags}))
        return regression_estimate(compared(base, series), flags)


def _series_of(candidate: Candidate, results: Results) -> Series | None:
    """Return the candidate's timed series; one that was only paired has none."""
    key = (candidate.artifact.sha256, candidate.setting)
    return next(
        (each for each in results.timed if (each.artifact.sha256, each.setting) == key), None
    )


def _from_pairs(found: Sequence[PairedSeries]) -> Estimate | None:
    if not found:
        return None
    base, new = found[0].base, found[0].new
    if len(found) > 1:
        raise InputRefused(
            f"{new.artifact.name} was interleaved with several artifacts; "
            "keep one comparison in the file, or give --baseline"
        )
    if not is_version(base.artifact, new.artifact):
        raise InputRefused(
            f"{new.artifact.name} was interleaved with {base.artifact.name}, which is no version "
            "of it (other model, target or precision); compare it with its own earlier version"
        )
    if fields := base.setting.differences(new.setting):
        raise InputRefused(
            f"{new.artifact.name} was interleaved with {base.artifact.name} under other "
            f"conditions: {'; '.join(fields)}"
        )
    return regression_estimate(found[0].comparison, new.flags)
