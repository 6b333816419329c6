"""Compare pairs that a results file holds. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.statistics.comparison import Comparison, compare
from cnn_export.benchmarks.statistics.intervals import Samples
from cnn_export.errors import InputRefused


def compare_recorded(
    base: Artifact,
    new: Artifact,
    pairs: Sequence[tuple[Samples, Samples]],
    new_loaded_first: Sequence[bool],
) -> Comparison:
    """Compare ``new`` with ``base``; the rest as for ``statistics.comparison.compare``.

    Raises:
        InputRefused: a process has a time of zero or did not alternate; names the artifacts.
    """
    try:
        return compare(pairs, new_loaded_first)
    except ValueError as error:
        raise InputRefused(
            f"{new.name} and {base.name} cannot be compared: {error}; measure again"
        ) from error
