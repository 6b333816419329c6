"""Where the defaults come from, and their proof.

Run as ``python -m cnn_export.benchmarks.studies.trust_study``.

``simulate`` counts errors on known noise, ``record`` records noise of this host, ``mixing`` asks
whether interleaving changes what is measured, ``own-loops`` compares our clock with the runtimes'.
The results are in ``benchmarks/README.md``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from cnn_export.benchmarks.devices.host.host import HostDevice
from cnn_export.benchmarks.selfcheck.selfcheck import (
    measure_against_itself,
    noise_sources,
    simulated,
)
from cnn_export.benchmarks.selfcheck.selfcheck_display import rates_table
from cnn_export.benchmarks.statistics.comparison import DEFAULT_PAIR_REPEATS
from cnn_export.benchmarks.statistics.intervals import Interval, median_interval
from cnn_export.command_line.edge import run_command
from cnn_export.errors import ExportError

NAME = "trust-study"
_SEED = 20210711
_WIDTH = 120
_LAST_WORDS = 300
_ARTIFACT = click.Path(path_type=Path, exists=True)
_PROCESSES = click.option(
    "--processes", type=click.IntRange(min=1), default=7, show_default=True, help="Fresh processes."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Measure how far the harness can be trusted."""


@command.command()
@click.option("--trials", type=click.IntRange(min=1), default=2000, show_default=True)
@click.option(
    "--processes", type=click.IntRange(min=1), default=DEFAULT_PAIR_REPEATS, show_default=True
)
@click.option("--separate", is_flag=True, help="Base and new in different processes.")
def simulate(trials: int, processes: int, separate: bool) -> None:
    """Count alarms, finds and covered truths of the comparison on every noise."""
    sources = noise_sources(moods=True)
    rates = simulated(sources, trials, _SEED, processes=processes, separate=separate)
    Console(width=_WIDTH).print(rates_table(rates))


@command.command()
@click.argument("artifact", type=_ARTIFACT)
@click.option("--name", required=True, help="Of the recording in the file.")
@click.option("--processes", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--pairs", type=click.IntRange(min=1), default=148, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="An .npz, added to.")
def record(artifact: Path, name: str, processes: int, pairs: int, out: Path) -> None:
    """Record ARTIFACT against itself: the first --pairs of every process, nothing else."""
    measured = measure_against_itself(HostDevice(), artifact, processes, limit_s=float("inf"))
    times = np.zeros((2, processes, pairs), np.uint32)
    for process, both in enumerate(measured.in_loading_order()):
        for instance, series in enumerate(both):
            times[instance, process, : len(series)] = series[:pairs]
    kept: dict[str, Any] = dict(np.load(out)) if out.exists() else {}
    kept[name] = times
    np.savez_compressed(out, **kept)


@command.command()
@click.argument("artifacts", nargs=2, type=_ARTIFACT)
@click.option("--block", type=click.IntRange(min=1), default=1, show_default=True, help="Turns.")
@_PROCESSES
def mixing(artifacts: tuple[Path, Path], block: int, processes: int) -> None:
    """Compare short turns of two ARTIFACTS with long blocks of each."""
    found = [_child("cache_mixing", *artifacts, "--block", block) for _ in range(processes)]
    for artifact, ratios in zip(artifacts, zip(*found, strict=True), strict=True):
        click.echo(f"{artifact.name}: interleaved over alone {_text(median_interval(ratios))}")
    base, new = np.array(found).T
    click.echo(f"bias of second over first: {_text(median_interval(new / base))}")


@command.command("own-loops")
@click.argument("artifacts", nargs=-1, required=True, type=_ARTIFACT)
@_PROCESSES
def own_loops(artifacts: tuple[Path, ...], processes: int) -> None:
    """Compare our times of ARTIFACTS with those of the runtimes' own timers."""
    found = [[_child("own_loops", each) for each in artifacts] for _ in range(processes)]
    for artifact, runs in zip(artifacts, zip(*found, strict=True), strict=True):
        ratio = median_interval([each["ratio"] for each in runs])
        click.echo(f"{artifact.name}: ours over theirs {_text(ratio)}")


def _child(module: str, *arguments: object) -> Any:
    command_line = [
        sys.executable,
        "-m",
        f"cnn_export.benchmarks.studies.{module}",
        *map(str, arguments),
    ]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last_words = done.stderr.strip()[-_LAST_WORDS:]
        raise ExportError(f"{module} ended with {done.returncode}: {last_words}")
    return json.loads(done.stdout.splitlines()[-1])


def _text(found: Interval) -> str:
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f}, {found.confidence:.1%})"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
