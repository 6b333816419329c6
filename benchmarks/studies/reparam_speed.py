"""What the reparameterization gives and costs.

Run as ``python -m cnn_export.benchmarks.studies.reparam_speed``.

Every network is measured in processes of its own; this one never loads torch.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from cnn_export.benchmarks.studies.reparam import tables
from cnn_export.benchmarks.studies.reparam.jobs import (
    NETWORKS,
    STAGE_LIMITS_S,
    StageCost,
    Timing,
    chain_costs,
    counts_of,
    growth_exponent,
    interleave,
    stage_cost_of,
    write_artifacts,
)
from cnn_export.benchmarks.studies.summary import paired_ratio, spread
from cnn_export.command_line.edge import run_command

NAME = "reparam-speed"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NAME",
    help="A network of timm; repeatable. Default: ten with branches.",
)
@click.option("--time", "timed", is_flag=True, help="Time TFLite and ONNX files instead.")
@click.option("--stage", "staged", is_flag=True, help="Measure the stage itself instead.")
@click.option(
    "--rounds", type=click.IntRange(min=3), default=7, show_default=True, help="Turns with --time."
)
@click.option(
    "--min-time-s",
    type=click.FloatRange(min=0, max=60, min_open=True),
    default=0.3,
    show_default=True,
    help="Measuring time of each turn, seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    networks: tuple[str, ...],
    timed: bool,
    staged: bool,
    rounds: int,
    min_time_s: float,
    as_json: bool,
) -> None:
    """Count what is left of networks, time them, or measure the stage (one of the three)."""
    if timed and staged:
        raise click.UsageError("--time and --stage exclude one another; give one")
    if staged:
        document, table = measure_stage(networks or tuple(STAGE_LIMITS_S))
    elif timed:
        document, table = measure_times(networks or NETWORKS, rounds, min_time_s)
    else:
        document, table = measure_counts(networks or NETWORKS)
    click.echo(json.dumps(document, indent=2) if as_json else table)


def measure_counts(networks: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return convolutions, batch norms, MACs and parameters of each form."""
    found = {name: counts_of(name) for name in _told(networks)}
    plain = {
        name: {form: each and dataclasses.asdict(each) for form, each in forms.items()}
        for name, forms in found.items()
    }
    return {"networks": plain}, tables.counts(found)


def measure_stage(networks: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return seconds and memory of the stage per network, and how its time grows with nodes."""
    costs = {name: stage_cost_of(name) for name in _told(networks)}
    chains = chain_costs()
    exponent = growth_exponent([c.nodes for c in chains], [c.seconds for c in chains])
    document = {
        "networks": {name: _record(cost) for name, cost in costs.items()},
        "chains": [_record(cost) for cost in chains],
        "growth_exponent": exponent,
    }
    return document, tables.stage(costs, chains, exponent)


def measure_times(
    networks: Sequence[str], rounds: int, min_time_s: float
) -> tuple[dict[str, Any], str]:
    """Return the latency of each form in both runtimes, one thread, interleaved."""
    timings: list[Timing] = []
    for name in _told(networks):
        with tempfile.TemporaryDirectory() as folder:
            paths = write_artifacts(name, folder)
            turns = interleave(paths, rounds, min_time_s)
        timings += timings_of(name, turns)
    document = {"rounds": rounds, "timings": [dataclasses.asdict(each) for each in timings]}
    return document, tables.times(timings)


def timings_of(network: str, turns: Mapping[str, Sequence[float]]) -> list[Timing]:
    """Return the timings of artifacts at ``…/FORM/NAME.TARGET``, each beside the naive form."""
    by_form = {(Path(path).suffix[1:], Path(path).parent.name): ns for path, ns in turns.items()}
    return [
        Timing(
            network,
            target,
            form,
            spread(measured),
            paired_ratio(by_form[target, "naive"], measured),
        )
        for (target, form), measured in sorted(by_form.items(), reverse=True)
    ]


def _record(cost: StageCost) -> dict[str, Any]:
    return dataclasses.asdict(cost) | {"peak_ratio": cost.peak_ratio}


def _told(networks: Sequence[str]) -> Iterator[str]:
    """Yield each network once, with a line on stderr as its turn begins."""
    progress = Console(stderr=True, highlight=False)
    for name in dict.fromkeys(networks):
        progress.print(f"measuring {name}", markup=False)
        yield name


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
