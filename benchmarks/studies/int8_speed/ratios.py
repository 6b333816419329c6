"""What int8 gains over float32, and over the vendor's own quantizer.

Run as ``python -m cnn_export.benchmarks.studies.int8_speed.ratios``. Every network is written three
times per target, and the files are interleaved in one process, inference by inference.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.studies.int8_speed.artifacts import FLOAT32, INT8, KINDS, VENDOR
from cnn_export.benchmarks.studies.int8_speed.networks import INPUT, INPUT_SHAPE, NETWORKS
from cnn_export.benchmarks.studies.processes import study_output
from cnn_export.benchmarks.studies.summary import NS_PER_MS, Spread, paired_ratio, spread
from cnn_export.command_line.edge import run_command
from cnn_export.targets import TARGETS

NAME = "int8-speed"
RUNNABLE = ("tflite", "onnx", "executorch")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--processes", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--rounds", type=click.IntRange(min=10), default=60, show_default=True, help="Per process."
)
@click.option("--network", "networks", multiple=True, type=click.Choice(list(NETWORKS)))
@click.option("--target", "targets", multiple=True, type=click.Choice(RUNNABLE))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    processes: int, rounds: int, networks: tuple[str, ...], targets: tuple[str, ...], as_json: bool
) -> None:
    """Export, compare and time; all networks on all three runtimes unless some are named."""
    rows: list[dict[str, Any]] = []
    for name in networks or tuple(NETWORKS):
        for target in targets or RUNNABLE:
            with tempfile.TemporaryDirectory() as folder:
                found = json.loads(
                    study_output("int8_speed.artifacts", folder, target, name).splitlines()[-1]
                )
                runs = [_process(Path(folder), target, rounds, seed) for seed in range(processes)]
            rows.append({"network": name, "target": target, **found, "samples": runs})
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _show(rows)


def ratios(processes: Sequence[Mapping[str, Sequence[int]]], kind: str, base: str) -> Spread:
    """Return one kind over another: the median of each process's rounds, then over processes."""
    return spread([paired_ratio(each[kind], each[base]).median for each in processes])


def _process(folder: Path, target: str, rounds: int, seed: int) -> dict[str, list[int]]:
    suffix = TARGETS[target].suffix
    paths = [str(folder / f"{kind}{suffix}") for kind in KINDS]
    shape = "x".join(map(str, INPUT_SHAPE))
    output = study_output("interleaving", str(rounds), str(seed), INPUT, shape, *paths)
    samples: dict[str, list[int]] = json.loads(output.splitlines()[-1])
    return {name.removesuffix(suffix): values for name, values in samples.items()}


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("network", "target"):
        table.add_column(heading)
    for heading in ("ms", "over fp32", "over vendor", "size", "equal", "partitions", "vendor's"):
        table.add_column(heading, justify="right")
    for row in rows:
        runs = row["samples"]
        time = statistics.median(value for run in runs for value in run[INT8])
        table.add_row(
            row["network"],
            row["target"],
            f"{time / NS_PER_MS:.2f}",
            *(_text(ratios(runs, INT8, base)) for base in (FLOAT32, VENDOR)),
            f"{row['size_ratio']:.3f}",
            f"{100 * row['equal']:.2f} %",
            ", ".join([str(row["partitions"]), *row["outside"]]),
            str(row["vendor_partitions"]),
        )
    Console(width=130).print(table)


def _text(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"  # noqa: RUF001


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
