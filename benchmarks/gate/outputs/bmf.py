"""Figures in Bencher Metric Format: ``{benchmark: {measure: {value, lower_value, upper_value}}}``.

Every known figure of every result, whether bounded or not: a tracker wants the history of all.
``latency`` is Bencher's own measure and counts nanoseconds; the others are named after the bounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from cnn_export.benchmarks.gate.candidates import Candidate, Estimate
from cnn_export.benchmarks.gate.judge import REGRESSION, Verdict
from cnn_export.command_line.terminal import printable
from cnn_export.errors import InputRefused

_NS_PER_MS = 1e6
_MEASURES = {
    "latency_ms": ("latency", _NS_PER_MS),
    "latency_p90_ms": ("latency-p90", _NS_PER_MS),
    "load_ms": ("load", _NS_PER_MS),
    "peak_memory_bytes": ("peak-memory", 1),
    "file_bytes": ("file-size", 1),
    "macs": ("macs", 1),
    "mac_bytes": ("mac-bytes", 1),
    "partitions": ("partitions", 1),
    REGRESSION: ("regression-percent", 1),
}
"""Name of a figure → slug of the measure, and its units per unit of the figure."""


def as_bmf(candidates: Sequence[Candidate], verdict: Verdict) -> str:
    """Return the document; regressions are those that were judged.

    Raises:
        InputRefused: two results have one name, and the format could keep only one of them.
    """
    names = [printable(each.label) for each in candidates]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise InputRefused(f"two results are called {repeated}; gate them in files of their own")
    document = {
        name: _metrics(each.estimates) for name, each in zip(names, candidates, strict=True)
    }
    for judgement in verdict.judgements:
        if judgement.bound == REGRESSION:
            name = printable(judgement.candidate.label)
            document[name] |= _metrics({REGRESSION: judgement.estimate})
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _metrics(estimates: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {
        slug: _metric(estimates[name], scale)
        for name, (slug, scale) in _MEASURES.items()
        if name in estimates
    }


def _metric(estimate: Estimate, scale: float) -> dict[str, float]:
    interval = estimate.interval
    value = {"value": interval.value * scale}
    if estimate.processes is None:
        return value
    return value | {"lower_value": interval.low * scale, "upper_value": interval.high * scale}
