"""``cnn-bench compare``: is the new one faster or slower?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cnn_export.benchmarks.tables.compare_table import Comparisons


_FILE_WIDTH = 280
"""Columns of output that goes to a file or pipe, where nothing needs folding."""


@click.command("compare")
@click.argument("base", metavar="BASE_OR_PAIRS", type=click.Path(path_type=Path))
@click.argument("new", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(base: Path, new: Path | None, as_json: bool) -> None:
    """Compare BASE.jsonl with NEW.jsonl, or the pairs of one file (of run --compare).

    Two files are matched by artifact, device, runtime and threads; whatever else differs between
    them is named. Pairs of one file were interleaved in the same processes, which tells far smaller
    differences apart. The verdict is printed, not returned: see gate for exit codes.
    """
    from cnn_export.benchmarks.results.plan.missing import missing_lines
    from cnn_export.benchmarks.tables import compare_table
    from cnn_export.command_line.console import result_console, warn

    comparisons = _compared(base, new)
    if as_json:
        click.echo(compare_table.as_json(comparisons))
        return
    result_console(width=_FILE_WIDTH).print(compare_table.table_of(comparisons))
    for side, labels in (("base", comparisons.only_base), ("new", comparisons.only_new)):
        for label in labels:
            warn(f"only in {side}: {label}")
    for line in missing_lines(comparisons.missing):
        warn(f"undecided, not measured: {line}")


def _compared(base: Path, new: Path | None) -> Comparisons:
    from cnn_export.benchmarks.results.read_series import read_results
    from cnn_export.benchmarks.tables.compare_table import of_pairs, of_series
    from cnn_export.errors import InputRefused

    measured = read_results(base)
    if new is None:
        if not measured.pairs:
            raise InputRefused(
                f"{base} holds no pairs; give BASE.jsonl and NEW.jsonl, "
                "or measure with run --compare"
            )
        return of_pairs(measured)
    comparisons = of_series(measured, read_results(new))
    if not comparisons.rows:
        raise InputRefused(
            f"{base} and {new} have no artifact in common that was timed on the same "
            "device and runtime with as many threads; nothing was compared"
        )
    return comparisons
