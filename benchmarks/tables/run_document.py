"""What runs found as JSON values; times are nanoseconds. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from cnn_export.benchmarks.results import cross_check_rows
from cnn_export.benchmarks.results.plan.missing import missing_record
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series
from cnn_export.benchmarks.statistics.comparison import verdict_words

_MEMORY_FIELDS = {"peak_rss_bytes", "peak_pss_bytes", "baseline_rss_bytes"}


def document(results: Results) -> dict[str, Any]:
    """Return every series, every comparison, and what plans lack.

    Raises:
        InputRefused: pairs cannot be compared.
    """
    return {
        "results": [_series_record(series) for series in results.timed],
        "comparisons": [_pair_record(each) for each in results.pairs],
        "missing": [missing_record(part) for part in results.missing],
        **cross_check_rows.document(results),
    }


def _series_record(series: Series) -> dict[str, Any]:
    memory, setting = series.peak_memory, series.setting
    return {
        "device": setting.device.id,
        "artifact": series.artifact.model_dump(exclude={"cnn_bench", "run_id"}),
        "runtime": setting.runtime,
        "runtime_version": setting.runtime_version,
        "threads": setting.threads,
        **dataclasses.asdict(series.summary),
        "delegate": series.delegate,
        "load_ns": series.load.value,
        "first_ns": series.first,
        "memory": None if memory is None else memory.model_dump(include=_MEMORY_FIELDS),
        "flags": series.flag_counts,
    }


def _pair_record(paired: PairedSeries) -> dict[str, Any]:
    base, new = paired.base, paired.new
    return {
        "device": new.setting.device.id,
        "a": base.artifact.name,
        "b": new.artifact.name,
        "threads": new.setting.threads,
        "a_p50": dataclasses.asdict(base.summary.p50),
        "b_p50": dataclasses.asdict(new.summary.p50),
        "comparison": dataclasses.asdict(paired.comparison),
        "flags": new.flag_counts,
        "told": verdict_words(paired.comparison),
    }
