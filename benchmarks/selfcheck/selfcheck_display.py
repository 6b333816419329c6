"""What a person or a machine sees of a self-check."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from rich.table import Table

from cnn_export.benchmarks.selfcheck.selfcheck import SelfCheck
from cnn_export.benchmarks.selfcheck.simulation import (
    COVERAGE_MIN,
    FALSE_ALARMS_MAX,
    POWER_MIN,
    Rates,
)
from cnn_export.benchmarks.statistics.comparison import Comparison, verdict_words
from cnn_export.command_line.console import result_console

_FILE_WIDTH = 120
_HEADINGS = (
    ("A/A alarms", f"≤ {FALSE_ALARMS_MAX:.0%}"),
    ("+3 % found", f"≥ {POWER_MIN:.0%}"),
    ("A/A called equal", "not judged"),
    ("ratio covered", f"≥ {COVERAGE_MIN:.0%}"),
    ("median covered", f"≥ {COVERAGE_MIN:.0%}"),
)


def document(check: SelfCheck) -> str:
    """Return one JSON document; shares are 0 to 1."""
    passed = not (check.problems or check.device_problems)
    return json.dumps({**dataclasses.asdict(check), "passed": passed}, indent=2)


def show(check: SelfCheck) -> None:
    """Print the comparisons and the table on stdout."""
    console = result_console(width=_FILE_WIDTH)
    if check.same is None or check.slowed is None:
        console.print("No artifact given: the statistics are checked, this device is not.")
    else:
        console.print(_line("the file against itself", check.same), highlight=False)
        console.print(_line("the same times, second 3 % longer", check.slowed), highlight=False)
    rates = check.rates if check.on_device is None else (check.on_device, *check.rates)
    console.print(rates_table(rates))


def rates_table(rates: Sequence[Rates]) -> Table:
    """Return one row per noise."""
    table = Table(title_justify="left", box=None, pad_edge=False)
    table.title = f"The default comparison on known noise, {rates[0].trials} trials each"
    table.add_column("noise")
    for heading, limit in _HEADINGS:
        table.add_column(f"{heading}\n{limit}", justify="right")
    for each in rates:
        shares = (
            each.false_alarms,
            each.found,
            each.called_equal,
            each.ratio_covered,
            each.median_covered,
        )
        table.add_row(each.noise, *(f"{share:.1%}" for share in shares))
    return table


def _line(what: str, found: Comparison) -> str:
    ratio = found.ratio
    return (
        f"{what}: {verdict_words(found)}, ratio {ratio.value:.4f}"
        f" ({ratio.low:.4f} to {ratio.high:.4f}, {ratio.confidence:.1%}),"
        f" p = {found.p_value:.2g}, {found.processes[0]} processes"
    )
