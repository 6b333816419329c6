"""What a shortcut costs in each form.

Run as ``python -m cnn_export.benchmarks.studies.identity_multiplier``.

MobileNeXt without any shortcut, with the full one (α = 1), and with α = 1/2 in every form, on
every runtime of this host. The paper (arXiv 2007.02269) counts what the multiplier saves in
additions and gives no device times.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.studies.identity_variants import FULL, INPUT_SHAPE, NO_SHORTCUT, VARIANTS
from cnn_export.benchmarks.studies.processes import study_output
from cnn_export.benchmarks.studies.summary import NS_PER_MS, Spread, paired_ratio, spread
from cnn_export.command_line.edge import run_command
from cnn_export.targets import TARGETS

NAME = "identity-multiplier"
RUNNABLE = ("tflite", "onnx", "executorch")
_INPUT = "image"

Samples = Mapping[str, Sequence[int]]
"""Variant → nanoseconds of each inference of one process."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--processes", type=click.IntRange(min=1), default=5, show_default=True, help="Per target."
)
@click.option(
    "--rounds", type=click.IntRange(min=10), default=60, show_default=True, help="Per process."
)
@click.option("--width", type=float, default=1.0, show_default=True, help="Of the network.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Choice(RUNNABLE),
    help="Repeatable. Default: all three.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    processes: int, rounds: int, width: float, targets: tuple[str, ...], as_json: bool
) -> None:
    """Time every form of MobileNeXt's shortcut on every runtime, interleaved."""
    chosen = list(dict.fromkeys(targets)) or list(RUNNABLE)
    with tempfile.TemporaryDirectory() as folder:
        study_output("identity_variants", folder, str(width), *chosen)
        measured = {
            target: [_process(Path(folder), target, rounds, seed) for seed in range(processes)]
            for target in chosen
        }
    if as_json:
        click.echo(json.dumps(measured, indent=2))
        return
    for target, runs in measured.items():
        _show(target, runs)


def ratios(processes: Sequence[Samples], variant: str, baseline: str) -> Spread:
    """Return variant over baseline: the median of each process's rounds, then over processes."""
    medians = [paired_ratio(each[variant], each[baseline]).median for each in processes]
    return spread(medians)


def _process(folder: Path, target: str, rounds: int, seed: int) -> dict[str, list[int]]:
    suffix = TARGETS[target].suffix
    paths = [str(folder / f"{variant}{suffix}") for variant in VARIANTS]
    shape = "x".join(map(str, INPUT_SHAPE))
    output = study_output("interleaving", str(rounds), str(seed), _INPUT, shape, *paths)
    samples: dict[str, list[int]] = json.loads(output.splitlines()[-1])
    return {name.removesuffix(suffix): values for name, values in samples.items()}


def _show(target: str, processes: Sequence[Samples]) -> None:
    title = f"{target}: {len(processes)} processes, median and range over processes"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("shortcut")
    for heading in ("ms", f"over {NO_SHORTCUT}", f"over {FULL}"):
        table.add_column(heading, justify="right")
    for variant in VARIANTS:
        time = spread([statistics.median(each[variant]) for each in processes])
        cells = [_text(ratios(processes, variant, base)) for base in (NO_SHORTCUT, FULL)]
        table.add_row(variant, f"{time.median / NS_PER_MS:.2f}", *cells)
    Console(width=100).print(table)


def _text(ratio: Spread) -> str:
    return f"{ratio.median:.3f} ({ratio.low:.3f}–{ratio.high:.3f})"  # noqa: RUF001


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
