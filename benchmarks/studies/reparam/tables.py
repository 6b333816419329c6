"""Tables of what the reparameterization gives and costs, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.studies.reparam.jobs import (
    FORMS,
    PEAK_LIMIT,
    STAGE_LIMITS_S,
    Counts,
    StageCost,
    Timing,
)
from cnn_export.benchmarks.studies.summary import NS_PER_MS

_COLUMNS = 120
_MILLION = 1e6
_MEGABYTE = 1e6


def counts(found: Mapping[str, Mapping[str, Counts | None]]) -> str:
    """Return one row per network: the figures of each form, ``-`` without timm's fusion."""
    table = _table("Operators left: naive | ours | timm's own fusion", "network")
    for title in ("conv2d", "batch norms", "M MACs", "M parameters"):
        table.add_column(title, justify="right")
    for name, forms in found.items():
        table.add_row(
            name,
            _three(forms, lambda each: f"{each.conv2d}"),
            _three(forms, lambda each: f"{each.batch_norms}"),
            _three(forms, lambda each: f"{each.macs / _MILLION:.0f}"),
            _three(forms, lambda each: f"{each.parameters / _MILLION:.2f}"),
        )
    return _text(table)


def stage(costs: Mapping[str, StageCost], chains: Sequence[StageCost], exponent: float) -> str:
    """Return seconds and memory against their limits, and the growth with the node count."""
    table = _table("The stage, proof included", "network")
    for title in (
        "nodes",
        "rounds",
        "seconds",
        "of CPU",
        "limit",
        "peak MB",
        "over network",
        "limit",
    ):
        table.add_column(title, justify="right")
    chained = {f"chain of {cost.nodes}": cost for cost in chains}
    for name, cost in {**costs, **chained}.items():
        limit = STAGE_LIMITS_S.get(name)
        table.add_row(
            name,
            str(cost.nodes),
            str(cost.rounds),
            f"{cost.seconds:.2f}",
            f"{cost.cpu_seconds:.2f}",
            "" if limit is None else f"{limit:.0f}",
            f"{cost.peak_bytes / _MEGABYTE:.0f}",
            f"{cost.peak_ratio:.1f}",
            "" if limit is None else f"{PEAK_LIMIT:.0f}",
        )
    return f"{_text(table)}\nseconds grow with nodes to the power of {exponent:.2f}"


def times(timings: Sequence[Timing]) -> str:
    """Return milliseconds per form and runtime, and how many times faster than the naive form."""
    table = _table("Latency on this host, 1 thread, interleaved in one process", "network")
    for title in ("target", "form"):
        table.add_column(title)
    for title in ("median ms", "range ms", "times faster", "range"):
        table.add_column(title, justify="right")
    for each in timings:
        turns, speedup = each.turns_ns, each.speedup
        table.add_row(
            *(each.network, each.target, each.form),
            f"{turns.median / NS_PER_MS:.2f}",
            f"{turns.low / NS_PER_MS:.2f}–{turns.high / NS_PER_MS:.2f}",  # noqa: RUF001
            f"{speedup.median:.2f}",
            f"{speedup.low:.2f}–{speedup.high:.2f}",  # noqa: RUF001
        )
    return _text(table)


def _three(forms: Mapping[str, Counts | None], told: Callable[[Counts], str]) -> str:
    return " | ".join("-" if (each := forms[form]) is None else told(each) for form in FORMS)


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(first)
    return table


def _text(table: Table) -> str:
    console = Console(width=_COLUMNS)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
