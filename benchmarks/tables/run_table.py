"""The table that ``cnn-bench run`` ends with."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cnn_export.benchmarks.devices.host.fitness_flags import EXPLANATIONS
from cnn_export.benchmarks.results.plan_coverage import Coverage, missing_lines
from cnn_export.benchmarks.results.record_types import Device, Record, Run
from cnn_export.benchmarks.statistics.comparison import verdict_words
from cnn_export.benchmarks.statistics.summary import Interval
from cnn_export.benchmarks.tables import cross_check_table
from cnn_export.benchmarks.tables.run_summary import PairRow, TimeRow, pair_rows, time_rows
from cnn_export.command_line.console import result_console
from cnn_export.command_line.terminal import printable

_NS_PER_MS = 1e6
_MILLION = 1e6
_FILE_WIDTH = 180
"""Columns of output that goes to a file or pipe, where nothing needs folding."""
_LEFT = ("device", "artifact", "runtime", "delegate", "against", "verdict", "flags")


def show(records: Sequence[Record]) -> None:
    """Print what was measured on stdout."""
    result_console(width=_FILE_WIDTH).print(render(records))


def render(records: Sequence[Record]) -> RenderableType:
    """Return the tables of times and of comparisons, as far as there are any, with footnotes."""
    times, pairs = time_rows(records), pair_rows(records)
    parts: list[RenderableType] = [Text(line) for line in _devices(records)]
    several = len({row.device for row in (*times, *pairs)}) > 1
    if times:
        parts += [_time_table(times, several=several), ""]
        parts += [_cost_table(times, several=several), ""]
    if pairs:
        parts += [_pair_table(pairs, several=several), ""]
    parts += cross_check_table.render(records)
    missing = missing_lines(Coverage(records).unfinished())
    parts += [Text(printable(f"not measured: {line}")) for line in missing]
    parts += [Text(line) for line in footnotes(times, pairs)]
    return Group(*parts)


def _devices(records: Sequence[Record]) -> list[str]:
    """Return a line per device, so that no table is read as another machine's."""
    devices = {record.device.id: record.device for record in records if isinstance(record, Run)}
    return [*map(_device, devices.values()), ""] if devices else []


def _device(device: Device) -> str:
    facts = printable(f"{device.id}: {device.model}, {device.cpus} CPUs, {device.system}")
    return f"{facts} (not a phone's times)" if device.kind == "host" else facts


def footnotes(times: Sequence[TimeRow], pairs: Sequence[PairRow]) -> list[str]:
    """Return a line per thing that a reader must know: weak intervals, every flag in words."""
    lines: list[str] = []
    intervals = [row.p50 for row in times] + [row.comparison.ratio for row in pairs]
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
    if any(row.memory for row in times):
        lines.append("net MB: peak without what the runtime takes before it loads the artifact.")
    flags = sorted({flag for row in (*times, *pairs) for flag in row.flags})
    lines += [f"{flag}: {EXPLANATIONS.get(flag, 'reported by the device')}." for flag in flags]
    return lines


def _time_table(rows: Sequence[TimeRow], *, several: bool) -> Table:
    table = _table("Latency per inference: median over processes, with its interval")
    headings = ("artifact", "threads", "processes", "median ms", "95 % ms", "p90 ms")
    headings = (*headings, "within %", "between %", "outliers", "flags")
    _columns(table, headings, several=several)
    for row in rows:
        table.add_row(
            *_where(row, several=several),
            row.artifact.name,
            str(row.threads),
            str(row.processes),
            _milliseconds(row.p50.value),
            _range(row.p50),
            _milliseconds(row.p90.value),
            _percent(row.variation.within_ns, row.p50.value),
            _percent(row.variation.between_ns, row.p50.value),
            str(row.outliers),
            _flags(row.flags),
        )
    return table


def _cost_table(rows: Sequence[TimeRow], *, several: bool) -> Table:
    table = _table("Start, memory and cost")
    headings = ("artifact", "runtime", "delegate", "partitions", "threads", "load ms", "first ms")
    headings = (*headings, "peak MB", "net MB", "M MACs", "MB moved")
    _columns(table, headings, several=several)
    for row in rows:
        memory = row.memory
        table.add_row(
            *_where(row, several=several),
            row.artifact.name,
            f"{row.runtime} {row.runtime_version}",
            row.delegate or "none",
            "" if row.delegate is None else str(row.artifact.partitions),
            str(row.threads),
            _milliseconds(row.load_ns),
            _milliseconds(row.first_ns),
            _millions(None if memory is None else memory.peak_rss_bytes),
            _millions(
                None if memory is None else memory.peak_rss_bytes - memory.baseline_rss_bytes
            ),
            _millions(row.artifact.macs),
            _millions(row.artifact.mac_bytes),
        )
    return table


def _pair_table(rows: Sequence[PairRow], *, several: bool) -> Table:
    table = _table("Alternated in the same processes: ratio of times, artifact over the other")
    headings = ("artifact", "against", "threads", "processes", "median ms", "against ms")
    _columns(table, (*headings, "ratio", "95 %", "verdict", "flags"), several=several)
    for row in rows:
        table.add_row(*_where(row, several=several), *_pair_cells(row))
    return table


def _pair_cells(row: PairRow) -> list[str]:
    found = row.comparison
    more = f" (about {found.repeats_needed} processes decide)" if found.repeats_needed else ""
    return [
        row.b.name,
        row.a.name,
        str(row.threads),
        str(found.processes[0]),
        _milliseconds(row.b_p50.value),
        _milliseconds(row.a_p50.value),
        f"{found.ratio.value:.3f}",
        f"{found.ratio.low:.3f} to {found.ratio.high:.3f}",
        verdict_words(found) + more,
        _flags(row.flags),
    ]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False)


def _where(row: TimeRow | PairRow, *, several: bool) -> tuple[str, ...]:
    """Return the cell that tells devices apart, where there are several."""
    return (printable(row.device),) if several else ()


def _columns(table: Table, headings: Sequence[str], *, several: bool) -> None:
    for heading in (*(["device"] if several else []), *headings):
        left = heading in _LEFT
        table.add_column(heading, justify="left" if left else "right", overflow="fold")


def _flags(flags: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(flags.items()))


def _range(interval: Interval) -> str:
    return f"{_milliseconds(interval.low)} to {_milliseconds(interval.high)}"


def _milliseconds(ns: float) -> str:
    return f"{ns / _NS_PER_MS:.3f}"


def _percent(part: float | None, whole: float) -> str:
    return "" if part is None else f"{100 * part / whole:.1f}"


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / _MILLION:.1f}"
