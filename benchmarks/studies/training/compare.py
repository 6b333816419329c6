"""``python -m cnn_export.benchmarks.studies.training.compare``: losses and blocks, seed by seed.

Every run becomes a line of ``--results``; what has its line is not trained again. ``--write`` puts
the table into the README beside this file.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import track

from cnn_export.benchmarks.studies.field.pages import page_with
from cnn_export.benchmarks.studies.training.runs import Job, Outcome, outcome
from cnn_export.benchmarks.studies.training.table import MOST_SEEDS, markdown
from cnn_export.benchmarks.studies.training.variants import NETWORKS, VARIANTS
from cnn_export.models.training.digits import load_digits

_SIZE_PIXELS = 32
README = Path(__file__).with_name("README.md")
RESULTS = Path(__file__).with_name("training.jsonl")


@click.command()
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--epochs", type=click.IntRange(min=1), default=12, show_default=True)
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=3, show_default=True)
@click.option("--write", is_flag=True, help="Put the table into the README as well.")
def main(results: Path, epochs: int, seeds: int, write: bool) -> None:
    """Train every network in every variant, and print the table of all runs of these epochs."""
    torch.set_num_threads(1)
    jobs = [Job(*each, epochs) for each in itertools.product(NETWORKS, VARIANTS, range(seeds))]
    done = {each.job for each in outcomes_in(results)}
    parts = load_digits(_SIZE_PIXELS)
    left = [job for job in jobs if job not in done]
    for job in track(left, "Training", console=Console(stderr=True), disable=not left):
        line = json.dumps(dataclasses.asdict(outcome(job, parts)))
        with results.open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
    text = markdown([each for each in outcomes_in(results) if each.job in jobs])
    click.echo(text, nl=False)
    if write:
        README.write_text(readme_with(text), "utf-8")


def readme_with(text: str) -> str:
    """Return the README with this table between its marks."""
    command = "cnn_export.benchmarks.studies.training.compare --write"
    return page_with(README, command, text)


def outcomes_in(results: Path) -> list[Outcome]:
    """Return the outcomes of a results file; none where there is no file."""
    if not results.exists():
        return []
    read = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    return [Outcome(Job(**each.pop("job")), **each) for each in read]


if __name__ == "__main__":
    main()
