"""Tables as rows of text: what a cell says, and which cells are numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cnn_export.benchmarks.profiles.document import OpTime, Profile
from cnn_export.benchmarks.profiles.wording import whole_and_sum
from cnn_export.benchmarks.report.charts.svg import COLOURS
from cnn_export.benchmarks.report.judging import BudgetRow
from cnn_export.benchmarks.report.numbered import Numbered, NumberedPair, Shown
from cnn_export.benchmarks.results.series import Series
from cnn_export.benchmarks.statistics.comparison import verdict_words
from cnn_export.benchmarks.tables.judged_accuracy import accuracy_text
from cnn_export.benchmarks.tables.quantities import interval_ms, milliseconds, quantity

PROFILE_ROWS_MAX = 200
_ROWS_OPEN = 40


@dataclasses.dataclass(frozen=True)
class Cell:
    """``style`` is a class of the page's style sheet: ``n`` for numbers, or a verdict."""

    text: str
    style: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """Headings and rows of equal length; ``caption`` says what was left out."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the page shows it folded."""
        return len(self.rows) > _ROWS_OPEN

    def is_numeric(self, column: int) -> bool:
        """Whether a column holds numbers, so that its heading stands on their side."""
        return any(row[column].style == "n" for row in self.rows)


def run_facts(shown: Shown) -> list[str]:
    """Return one sentence per run: when, where, how."""
    return [
        f"Run {run.run_id}, started {run.started_at} by {run.producer} on {run.device.model} "
        f"({run.device.id}, {run.device.cpus} CPUs, "
        f"{quantity(run.device.memory_bytes, 'B')} of memory, {run.device.system}, governor "
        f"{run.device.governor or 'not known'}): {run.repeats} processes of at least "
        f"{run.min_time_s:g} s each, order drawn from seed {run.seed}."
        for run in shown.runs
    ]


def latency_table(shown: Shown) -> Table | None:
    """Return one row per artifact and condition; ``None`` where only pairs were shown."""
    if not shown.series:
        return None
    headings = (
        "#", "artifact", "median", "its interval", "p90", "load", "peak memory", "processes",
        "inferences", "outliers", "runtime", "flags",
    )  # fmt: skip
    caption = (
        "Intervals are of the median over processes, with their true confidence; outliers are "
        "kept in every figure. Load times are medians over processes."
    )
    return Table(headings, tuple(_latency_row(one, shown) for one in shown.series), caption)


def _latency_row(one: Numbered, shown: Shown) -> tuple[Cell, ...]:
    series, setting, summary = one.series, one.series.setting, one.series.summary
    arguments = "".join(f" {key}={value}" for key, value in setting.runtime_args)
    where = f"{one.threads}{_where(series, shown)}{_pinned(series)}"
    memory = series.peak_memory
    flags = ", ".join(f"{flag} ({count})" for flag, count in series.flag_counts.items())
    return (
        _number(one),
        Cell(one.name),
        Cell(f"{milliseconds(summary.p50.value)} ms", "n"),
        Cell(interval_ms(summary.p50), "n"),
        Cell(f"{milliseconds(summary.p90.value)} ms", "n"),
        Cell(f"{milliseconds(series.load.value)} ms", "n"),
        Cell(quantity(None if memory is None else memory.peak_rss_bytes, "B"), "n"),
        Cell(str(summary.processes), "n"),
        Cell(f"{summary.samples:,}", "n"),
        Cell(f"{summary.outliers:,}", "n"),
        Cell(f"{setting.runtime} {setting.runtime_version}{arguments}, {where}"),
        Cell(flags or "none", "undecided" if flags else ""),
    )


def _pinned(series: Series) -> str:
    """Return the CPUs that the processes were kept on, if any: series may differ in them alone."""
    cpus = series.setting.cpus
    return f", on CPU {','.join(map(str, cpus))}" if cpus else ""


def _where(series: Series, shown: Shown) -> str:
    """Return where it was measured, if that tells rows apart."""
    return f", on {series.setting.device.id}" if shown.several_devices else ""


def _number(one: Numbered) -> Cell:
    return Cell(str(one.number), f"key s{one.number % COLOURS}")


def artifact_table(shown: Shown) -> Table | None:
    """Return what each measured file is, whatever it ran on; ``None`` without any."""
    if not shown.series:
        return None
    headings = (
        "#", "artifact", "model", "target", "precision", "file", "MACs", "memory access",
        "partitions", "accuracy",
    )  # fmt: skip
    return Table(headings, tuple(map(_artifact_row, shown.series)))


def _artifact_row(one: Numbered) -> tuple[Cell, ...]:
    artifact = one.series.artifact
    return (
        _number(one),
        Cell(artifact.name),
        Cell(artifact.model),
        Cell(artifact.target),
        Cell(artifact.precision),
        Cell(quantity(artifact.file_bytes, "B"), "n"),
        Cell(quantity(artifact.macs, "MACs"), "n"),
        Cell(quantity(artifact.mac_bytes, "B"), "n"),
        Cell("not known" if artifact.partitions is None else str(artifact.partitions), "n"),
        Cell(accuracy_text(artifact)),
    )


def comparison_table(shown: Shown) -> Table | None:
    """Return one row per pair of interleaved artifacts; ``None`` without any."""
    if not shown.pairs:
        return None
    headings = ("second", "first", "threads", "ratio", "its interval", "p", "verdict", "repeats")
    return Table(headings, tuple(_comparison_row(each, shown) for each in shown.pairs))


def _comparison_row(pair: NumberedPair, shown: Shown) -> tuple[Cell, ...]:
    base, new, comparison = pair.base, pair.new, pair.paired.comparison
    ratio = comparison.ratio
    needed = "" if comparison.repeats_needed is None else f", {comparison.repeats_needed} needed"
    styles = {"faster": "met", "slower": "missed", "undecided": "undecided"}
    return (
        Cell(f"{new.name} ({new.series.setting.runtime}{_where(new.series, shown)})"),
        Cell(f"{base.name} ({base.series.setting.runtime})"),
        Cell(str(new.series.setting.threads), "n"),
        Cell(f"{ratio.value:.4f}", "n"),
        Cell(f"{ratio.low:.4f} to {ratio.high:.4f} ({100 * ratio.confidence:.1f} %)", "n"),
        Cell(f"{comparison.p_value:.2g}", "n"),
        Cell(verdict_words(comparison), styles.get(comparison.verdict, "")),
        Cell(f"{comparison.processes[0]} processes{needed}"),
    )


def budget_table(rows: Sequence[BudgetRow] | None) -> Table | None:
    """Return the judged budgets; ``None`` where none were given."""
    if rows is None:
        return None
    headings = ("result", "artifact", "figure", "measured", "bound", "remark")
    cells = (
        (
            Cell(row.status, row.status),
            Cell(row.subject),
            Cell(row.quantity),
            Cell(row.measured, "n"),
            Cell(row.bound, "n"),
            Cell(row.remark),
        )
        for row in rows
    )
    return Table(headings, tuple(cells))


def profile_table(profile: Profile) -> Table:
    """Return the operators in the runtime's order, at most :data:`PROFILE_ROWS_MAX`."""
    headings = ("operator", "kind", "median", "share", "MACs", "memory access", "rate", "traffic")
    rows = tuple(_op_row(op) for op in profile.ops[:PROFILE_ROWS_MAX])
    left_out = len(profile.ops) - len(rows)
    words = f" {left_out} later operators left out." if left_out > 0 else ""
    return Table(headings, rows, whole_and_sum(profile) + words)


def _op_row(op: OpTime) -> tuple[Cell, ...]:
    return (
        Cell(op.name),
        Cell(op.kind),
        Cell(f"{milliseconds(op.median_ns)} ms", "n"),
        Cell(f"{100 * op.share:.1f} %", "n"),
        Cell(_or_dash(op.macs, "MACs"), "n"),
        Cell(_or_dash(op.mac_bytes, "B"), "n"),
        Cell(_or_dash(op.mac_per_s, "MAC/s"), "n"),
        Cell(_or_dash(op.bytes_per_s, "B/s"), "n"),
    )


def _or_dash(value: float | None, unit: str) -> str:
    """A layout change has no figure of the file, which is no lack of knowledge."""
    return "–" if value is None else quantity(value, unit)  # noqa: RUF001
