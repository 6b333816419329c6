"""The table that ``cnn-bench run`` ends with."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS
from cnn_export.benchmarks.results.plan.missing import missing_lines
from cnn_export.benchmarks.results.record_types import Device
from cnn_export.benchmarks.results.series import PairedSeries, Results, Series
from cnn_export.benchmarks.statistics.comparison import verdict_words
from cnn_export.benchmarks.statistics.intervals import Interval
from cnn_export.benchmarks.tables import cross_check_table
from cnn_export.command_line.console import result_console
from cnn_export.command_line.terminal import printable

_NS_PER_MS = 1e6
_MILLION = 1e6
_FILE_WIDTH = 180
"""Columns of output that goes to a file or pipe, where nothing needs folding."""
_LEFT = ("device", "artifact", "runtime", "delegate", "against", "verdict", "flags")


def show(results: Results) -> None:
    """Print what was measured on stdout."""
    result_console(width=_FILE_WIDTH).print(render(results))


def render(results: Results) -> RenderableType:
    """Return the tables of times and of comparisons, as far as there are any, with footnotes.

    Raises:
        InputRefused: pairs cannot be compared.
    """
    times, pairs = results.timed, results.pairs
    parts: list[RenderableType] = [Text(line) for line in _devices(results)]
    several = results.several_devices
    if times:
        parts += [_time_table(times, several=several), ""]
        parts += [_cost_table(times, several=several), ""]
    if pairs:
        parts += [_pair_table(pairs, several=several), ""]
    parts += cross_check_table.render(results)
    missing = missing_lines(results.missing)
    parts += [Text(printable(f"not measured: {line}")) for line in missing]
    parts += [Text(line) for line in footnotes(times, pairs)]
    return Group(*parts)


def _devices(results: Results) -> list[str]:
    """Return a line per device, so that no table is read as another machine's."""
    devices = {run.device.id: run.device for run in results.runs}
    return [*map(_device, devices.values()), ""] if devices else []


def _device(device: Device) -> str:
    facts = printable(f"{device.id}: {device.model}, {device.cpus} CPUs, {device.system}")
    return f"{facts} (not a phone's times)" if device.kind == "host" else facts


def footnotes(times: Sequence[Series], pairs: Sequence[PairedSeries]) -> list[str]:
    """Return a line per thing that a reader must know: weak intervals, every flag in words."""
    lines: list[str] = []
    intervals = [row.summary.p50 for row in times] + [row.comparison.ratio for row in pairs]
    weakest = min((interval.confidence for interval in intervals), default=1.0)
    if weakest < 0.95:
        lines.append(
            f"Too few processes for 95 % intervals: these have {weakest:.0%}. Give more --repeats."
        )
    if times:
        lines.append(
            "within, between: standard deviation of inferences in a process, and of processes;"
            " outliers are counted and kept in every figure."
        )
    if any(row.peak_memory for row in times):
        lines.append("net MB: peak without what the runtime takes before it loads the artifact.")
    files = [
        *(row.artifact for row in times),
        *(s.artifact for row in pairs for s in (row.base, row.new)),
    ]
    accepted = {f"{each.name}: {each.acceptance}." for each in files if each.acceptance}
    lines += map(printable, sorted(accepted))
    flagged = (*times, *(row.new for row in pairs))
    flags = sorted({flag for row in flagged for flag in row.flag_counts})
    lines += [f"{flag}: {EXPLANATIONS.get(flag, 'reported by the device')}." for flag in flags]
    return lines


def _time_table(rows: Sequence[Series], *, several: bool) -> Table:
    table = _table("Latency per inference: median over processes, with its interval")
    headings = ("artifact", "threads", "processes", "median ms", "95 % ms", "p90 ms")
    headings = (*headings, "within %", "between %", "outliers", "flags")
    _columns(table, headings, several=several)
    for row in rows:
        summary = row.summary
        table.add_row(
            *_where(row, several=several),
            row.artifact.name,
            str(row.setting.threads),
            str(summary.processes),
            _milliseconds(summary.p50.value),
            _range(summary.p50),
            _milliseconds(summary.p90.value),
            _percent(summary.variation.within_ns, summary.p50.value),
            _percent(summary.variation.between_ns, summary.p50.value),
            str(summary.outliers),
            _flags(row.flag_counts),
        )
    return table


def _cost_table(rows: Sequence[Series], *, several: bool) -> Table:
    table = _table("Start, memory and cost")
    headings = ("artifact", "runtime", "delegate", "partitions", "threads", "load ms", "first ms")
    headings = (*headings, "peak MB", "net MB", "M MACs", "MB moved")
    _columns(table, headings, several=several)
    for row in rows:
        memory = row.peak_memory
        table.add_row(
            *_where(row, several=several),
            row.artifact.name,
            f"{row.setting.runtime} {row.setting.runtime_version}",
            row.delegate or "none",
            "" if row.delegate is None else str(row.artifact.partitions),
            str(row.setting.threads),
            _milliseconds(row.load.value),
            _milliseconds(row.first),
            _millions(None if memory is None else memory.peak_rss_bytes),
            _millions(
                None if memory is None else memory.peak_rss_bytes - memory.baseline_rss_bytes
            ),
            _millions(row.artifact.macs),
            _millions(row.artifact.mac_bytes),
        )
    return table


def _pair_table(rows: Sequence[PairedSeries], *, several: bool) -> Table:
    table = _table("Interleaved in the same processes: ratio of times, artifact over the other")
    headings = ("artifact", "against", "threads", "processes", "median ms", "against ms")
    _columns(table, (*headings, "ratio", "95 %", "verdict", "flags"), several=several)
    for row in rows:
        table.add_row(*_where(row.new, several=several), *_pair_cells(row))
    return table


def _pair_cells(row: PairedSeries) -> list[str]:
    base, new, found = row.base, row.new, row.comparison
    more = f" (about {found.repeats_needed} processes decide)" if found.repeats_needed else ""
    return [
        new.artifact.name,
        base.artifact.name,
        str(new.setting.threads),
        str(found.processes[0]),
        _milliseconds(new.summary.p50.value),
        _milliseconds(base.summary.p50.value),
        f"{found.ratio.value:.3f}",
        f"{found.ratio.low:.3f} to {found.ratio.high:.3f}",
        verdict_words(found) + more,
        _flags(new.flag_counts),
    ]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False)


def _where(row: Series, *, several: bool) -> tuple[str, ...]:
    """Return the cell that tells devices apart, where there are several."""
    return (printable(row.setting.device.id),) if several else ()


def _columns(table: Table, headings: Sequence[str], *, several: bool) -> None:
    for heading in (*(["device"] if several else []), *headings):
        left = heading in _LEFT
        table.add_column(heading, justify="left" if left else "right", overflow="fold")


def _flags(flags: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in flags.items())


def _range(interval: Interval) -> str:
    return f"{_milliseconds(interval.low)} to {_milliseconds(interval.high)}"


def _milliseconds(ns: float) -> str:
    return f"{ns / _NS_PER_MS:.3f}"


def _percent(part: float | None, whole: float) -> str:
    return "" if part is None else f"{100 * part / whole:.1f}"


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / _MILLION:.1f}"
