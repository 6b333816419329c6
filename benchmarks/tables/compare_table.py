"""What ``cnn-bench compare`` shows: ratios with intervals and verdicts, as table or JSON. Pure."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from cnn_export.benchmarks.results.plan.coverage import PartCoverage
from cnn_export.benchmarks.results.plan.missing import missing_record
from cnn_export.benchmarks.results.record_types import Artifact
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series, compared
from cnn_export.benchmarks.results.setting import Setting, label_of
from cnn_export.benchmarks.results.versions import differences, matched
from cnn_export.benchmarks.statistics.comparison import Comparison, verdict_words
from cnn_export.benchmarks.tables.judged_accuracy import accuracy_change
from cnn_export.benchmarks.tables.quantities import MILLION, milliseconds, significant
from cnn_export.command_line.terminal import printable

_SHOWN = {
    *("name", "sha256", "model", "target", "precision"),
    *("file_bytes", "macs", "mac_bytes", "accuracy", "accepted"),
}
_STYLES = {"faster": "green", "slower": "bold red", "undecided": "yellow"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One comparison. ``differing`` names conditions, besides the artifact, that changed.

    ``medians_ns`` are those of base and new over their processes.

    Of an ``incomplete`` one planned processes are missing.
    """

    base: Artifact
    new: Artifact
    setting: Setting
    comparison: Comparison
    medians_ns: tuple[float, float]
    differing: tuple[str, ...]
    flags: tuple[str, ...]
    incomplete: bool = False


@dataclasses.dataclass(frozen=True)
class Comparisons:
    """All comparisons, what of either side found no partner, and what plans lack.

    A comparison to which planned processes are missing is slower or undecided.
    """

    rows: tuple[Row, ...]
    only_base: tuple[str, ...] = ()
    only_new: tuple[str, ...] = ()
    missing: tuple[PartCoverage, ...] = ()


def of_pairs(results: Results) -> Comparisons:
    """Compare artifacts that were interleaved in the same processes.

    Raises:
        InputRefused: a process has a time of zero or was not interleaved.
    """
    rows = tuple(_pair_row(each) for each in results.pairs)
    return Comparisons(rows, missing=tuple(results.missing_timed))


def of_series(base: Results, new: Results) -> Comparisons:
    """Compare series of separate processes: same artifact, device, runtime and threads.

    Raises:
        InputRefused: a process has a median of zero.
    """
    pairs, only_base, only_new = matched(base.series, new.series)
    rows = tuple(_series_row(old, each) for old, each in pairs)
    missing = (*base.missing_timed, *new.missing_timed)
    return Comparisons(rows, _labels(only_base), _labels(only_new), missing)


def as_json(comparisons: Comparisons) -> str:
    """Return one document; ``ratio`` is new over base, above 1 is slower."""
    document = {
        "comparisons": [_record(row) for row in comparisons.rows],
        "only_base": list(comparisons.only_base),
        "only_new": list(comparisons.only_new),
        "missing": [missing_record(part) for part in comparisons.missing],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def table_of(comparisons: Comparisons) -> Table:
    """Return one row per comparison."""
    table = Table(box=None, pad_edge=False, caption_justify="left")
    for heading in ("base", "new", "where"):
        table.add_column(heading, overflow="fold")
    for heading in ("ms", "file MB", "MB moved", "new / base", "interval", "p", "processes"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    table.add_column("accuracy", overflow="fold")
    table.add_column("", overflow="fold")
    for row in comparisons.rows:
        table.add_row(*_cells(row))
    table.caption = (
        "Above 1 is slower. One ratio or median per process. Accuracy is what each file was judged"
        " by when it was made."
    )
    return table


def notes(row: Row) -> list[str]:
    """Return what a reader of the verdict should know."""
    needed = row.comparison.repeats_needed
    found = [f"about {needed} repeats would decide"] if needed else []
    found += ["planned processes are missing"] if row.incomplete else []
    found += [f"differs: {each}" for each in row.differing]
    return found + ([f"flags: {', '.join(row.flags)}"] if row.flags else [])


def _pair_row(paired: PairedSeries) -> Row:
    base, new = paired.base, paired.new
    return Row(
        base=base.artifact,
        new=new.artifact,
        setting=new.setting,
        comparison=paired.comparison,
        medians_ns=_medians_ns(base, new),
        differing=tuple(base.setting.differences(new.setting)),
        flags=new.flags,
        incomplete=not paired.complete,
    )


def _series_row(base: Series, new: Series) -> Row:
    return Row(
        base=base.artifact,
        new=new.artifact,
        setting=new.setting,
        comparison=compared(base, new),
        medians_ns=_medians_ns(base, new),
        differing=tuple(differences(base, new)),
        flags=tuple(sorted({*base.flags, *new.flags})),
        incomplete=not (base.complete and new.complete),
    )


def _medians_ns(base: Series, new: Series) -> tuple[float, float]:
    return base.summary.p50.value, new.summary.p50.value


def _labels(series: Sequence[Series]) -> tuple[str, ...]:
    return tuple(label_of(each.artifact, each.setting) for each in series)


def _record(row: Row) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "base": _artifact_record(row.base, row.medians_ns[0]),
        "new": _artifact_record(row.new, row.medians_ns[1]),
        "setting": row.setting.as_record(),
        "ratio": comparison.ratio.value,
        "ratio_low": comparison.ratio.low,
        "ratio_high": comparison.ratio.high,
        "confidence": comparison.ratio.confidence,
        "p_value": comparison.p_value,
        "minimum_effect": comparison.minimum_effect,
        "processes": list(comparison.processes),
        "verdict": comparison.verdict,
        "told": verdict_words(comparison),
        "repeats_needed": comparison.repeats_needed,
        "differing": list(row.differing),
        "flags": list(row.flags),
    }


def _artifact_record(artifact: Artifact, median_ns: float) -> dict[str, Any]:
    return artifact.model_dump(include=_SHOWN) | {"median_ns": median_ns}


def _cells(row: Row) -> list[str]:
    comparison, setting = row.comparison, row.setting
    ratio = comparison.ratio
    style = _STYLES.get(comparison.verdict, "default")
    return [
        escape(printable(row.base.name)),
        escape(printable(row.new.name)),
        escape(printable(f"{setting.device.id}, {setting.runtime}, threads {setting.threads}")),
        " → ".join(map(milliseconds, row.medians_ns)),
        _change([row.base.file_bytes, row.new.file_bytes]),
        _change([row.base.mac_bytes, row.new.mac_bytes]),
        f"{ratio.value:.3f}",
        f"{ratio.low:.3f} to {ratio.high:.3f} ({ratio.confidence:.0%})",
        f"{comparison.p_value:.2g}",
        " / ".join(map(str, dict.fromkeys(comparison.processes))),
        f"[{style}]{verdict_words(comparison)}[/]",
        escape(printable(accuracy_change(row.base, row.new))),
        escape(printable("; ".join(notes(row)))),
    ]


def _change(sizes: Sequence[int | None]) -> str:
    """Return bytes of base and new in millions."""
    return " → ".join("?" if each is None else significant(each / MILLION) for each in sizes)
