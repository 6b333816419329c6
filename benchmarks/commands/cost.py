"""``cnn-bench cost``: multiply-accumulates and bytes of artifacts, read from the files."""

from __future__ import annotations

from pathlib import Path

import click

SORT_KEYS = ("macs", "mac_bytes", "weight_bytes", "arithmetic_intensity")


@click.command("cost")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--per-op", is_flag=True, help="Show every operator.")
@click.option(
    "--sort", type=click.Choice(SORT_KEYS), help="Order operators, largest first (needs --per-op)."
)
@click.option(
    "--roofline", is_flag=True, help="Measure this host's peaks and bound every operator by them."
)
@click.option(
    "--threads", type=click.IntRange(1), help="Threads of --roofline's measurement. [default: 1]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    files: tuple[Path, ...],
    per_op: bool,
    sort: str | None,
    roofline: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Show what artifacts cost: macs, memory access (mac_bytes), peak activation memory.

    FILES are .tflite, .onnx, .pte and .mlpackage artifacts. Nothing is run: figures come from the
    files, in the tensors' real dtypes, for one inference (a dynamic batch counts as 1).
    """
    _require_consistent(per_op, sort, roofline, threads)
    from cnn_export.benchmarks.cost.artifact_cost import ordered
    from cnn_export.benchmarks.cost.display import document, show
    from cnn_export.benchmarks.cost.reading import read_costs

    costs = [ordered(cost, sort) for cost in read_costs(files)]
    peaks = None
    if roofline:
        from cnn_export.benchmarks.cost.host_peaks import measure_peaks

        peaks = measure_peaks(threads or 1)
    if as_json:
        click.echo(document(costs, peaks, per_op=per_op))
    else:
        show(costs, peaks, per_op=per_op)


def _require_consistent(
    per_op: bool, sort: str | None, roofline: bool, threads: int | None
) -> None:
    """Refuse an option that would change nothing."""
    from cnn_export.errors import UsageError

    if sort and not per_op:
        raise UsageError("--sort orders operators; add --per-op")
    if threads is not None and not roofline:
        raise UsageError("--threads is for the measurement of --roofline; add --roofline")
