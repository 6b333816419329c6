"""Series and their completeness are those of the plain records, counted here once more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from random_records import hashes_of, lacking, read

from cnn_export.benchmarks.results.record_types import Pair, Record, Repeat, Run
from cnn_export.benchmarks.results.series import PairedTimes, Series
from cnn_export.benchmarks.selfcheck.selfcheck import against_itself
from cnn_export.benchmarks.tables.compare_table import as_json, of_pairs


def grouped(records: Sequence[Record]) -> dict[frozenset[tuple[str, int]], list[Repeat | Pair]]:
    """Processes by the facts that part series, found without any code of the product's.

    Each group is in the order of its runs and processes, and is named by these.
    """
    runs = {each.run_id: each for each in records if isinstance(each, Run)}
    groups: dict[tuple[Any, ...], list[Repeat | Pair]] = {}
    for each in records:
        if isinstance(each, Repeat | Pair):
            version = each.runtime_version if isinstance(each, Repeat) else each.runtime_versions
            runtimes = (each.runtime,) if isinstance(each, Repeat) else each.runtimes
            run = runs[each.run_id]
            where = (run.device.to_line(), each.threads, tuple(sorted(run.cpus)))
            # The only argument drawn is LiteRT's.
            arguments = tuple(each.runtime_args.items()) if "ai-edge-litert" in runtimes else ()
            groups.setdefault((hashes_of(each), *where, version, arguments), []).append(each)
    order = list(runs)
    return {
        frozenset((each.run_id, each.position) for each in group): sorted(
            group, key=lambda each: (order.index(each.run_id), each.position)
        )
        for group in groups.values()
    }


def group_of(series: Series, groups: dict[frozenset[tuple[str, int]], Any]) -> Any:
    return groups[frozenset((each.run_id, each.position) for each in series.processes)]


def test_series_are_those_of_the_plain_records(records: list[Record]) -> None:
    results = read(records)
    groups = grouped(records)
    assert len(groups) == len(results.timed) + len(results.pairs)
    for series in results.timed:
        medians = [np.median(each.samples_ns) for each in group_of(series, groups)]
        assert series.summary.processes == len(medians)
        assert series.summary.p50.value == np.median(medians)
    for paired in results.pairs:
        plain = group_of(paired.new, groups)
        assert paired.comparison.processes == (len(plain),) * 2
        sides = ([each.a_ns for each in plain], [each.b_ns for each in plain])
        alone = PairedTimes(
            *(list(map(np.asarray, side)) for side in sides),
            [each.b_loaded_first for each in plain],
        )
        same, _ = against_itself(alone)
        told = paired.comparison
        assert (told.ratio, told.p_value, told.processes) == (
            same.ratio,
            same.p_value,
            same.processes,
        )
        if told.verdict != same.verdict:
            assert (told.verdict, paired.complete) == ("undecided", False)


def test_completeness_is_that_of_the_plain_records(records: list[Record]) -> None:
    """Of each series and pair, and what compare says of it, as all others do by the tests below."""
    results = read(records)
    short = {
        (hashes, device, threads)
        for kind, hashes, device, threads in lacking(records)
        if kind != "memory"
    }
    for series in results.timed:
        setting = series.setting
        key = ((series.artifact.sha256,), setting.device.id, setting.threads)
        assert series.complete == (key not in short)
    compared = json.loads(as_json(of_pairs(results)))["comparisons"]
    for paired, told in zip(results.pairs, compared, strict=True):
        setting = paired.new.setting
        hashes = (paired.base.artifact.sha256, paired.new.artifact.sha256)
        whole = (hashes, setting.device.id, setting.threads) not in short
        assert paired.complete == whole
        judged = paired.times.compared().verdict
        assert told["verdict"] == (judged if whole or judged == "slower" else "undecided")
