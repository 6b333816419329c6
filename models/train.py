"""Command line of the trainer: ``python -m cnn_export.models.train --out FILE.pt``.

Writes a checkpoint that says how to build its network, and how it was trained. The held-out
images are used once, after the last epoch, for the figure in the checkpoint.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cnn_export.command_line.edge import run_command
from cnn_export.errors import TargetUnavailable
from cnn_export.models.training import digits
from cnn_export.models.training.trainer import (
    LOSSES,
    Config,
    Run,
    TrainingError,
    accuracy,
    load_state,
    save_state,
    start,
    train_epoch,
    write_atomically,
)

_DEFAULTS = Config()


NAME = "python -m cnn_export.models.train"


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--loss", type=click.Choice(sorted(LOSSES)), default=_DEFAULTS.loss)
@click.option("--seed", type=click.IntRange(min=0), default=_DEFAULTS.seed)
@click.option("--epochs", type=click.IntRange(min=1), default=_DEFAULTS.epochs)
@click.option("--width", type=click.FloatRange(0.05, 2.0), default=_DEFAULTS.width)
@click.option("--size-pixels", type=click.IntRange(min=17), default=_DEFAULTS.size_pixels)
@click.option("--batch-size", type=click.IntRange(min=2), default=_DEFAULTS.batch_size)
@click.option("--threads", type=click.IntRange(min=1), default=1, help="More gain nothing here.")
@click.option("--resume/--restart", default=None, help="What to do with an interrupted run.")
def command(out: Path, threads: int, resume: bool | None, **options: Any) -> None:
    """Train a narrow SkipNet on scikit-learn's digits and write its checkpoint to OUT."""
    torch.set_num_threads(threads)
    try:
        train(Config(**options), out, resume)
    except TrainingError as error:
        raise click.ClickException(str(error)) from error
    except ModuleNotFoundError as error:
        raise TargetUnavailable(str(error)) from error


def train(config: Config, out: Path, resume: bool | None = None) -> None:
    """Train to the end and write the checkpoint; state is kept in ``OUT.resume`` meanwhile.

    Raises:
        TrainingError: ``out`` has no folder, or an interrupted run and ``resume`` disagree.
        ModuleNotFoundError: scikit-learn is missing.
    """
    state_path = out.with_name(out.name + ".resume")
    run = _begin(config, out, state_path, resume)
    parts = digits.load_digits(config.size_pixels)
    console = Console(stderr=True)
    _train_epochs(run, parts, state_path, console)
    figure = accuracy(run.model, parts["held-out"])
    write_atomically(out, checkpoint(run, parts, figure))
    state_path.unlink()
    console.print(f"{out}: {figure:.2%} of {len(parts['held-out'])} held-out images")


def checkpoint(
    run: Run, parts: dict[digits.Part, digits.Digits], held_out_accuracy: float
) -> dict[str, Any]:
    """Return what the checkpoint file holds: plain values and tensors, loadable weights-only."""
    size = run.config.size_pixels
    return {
        "state_dict": run.model.state_dict(),
        "arch": "skipnet",
        "model_args": {
            "width": run.config.width,
            "classes": digits.CLASSES,
            "in_channels": digits.CHANNELS,
        },
        "input_size": [digits.CHANNELS, size, size],
        "classes": digits.CLASSES,
        "normalization": {"mean": list(digits.MEAN), "std": list(digits.STD)},
        "training": {
            **dataclasses.asdict(run.config),
            "held_out_accuracy": held_out_accuracy,
            "train_count": len(parts["train"]),
            "validation_count": len(parts["validation"]),
            "held_out_count": len(parts["held-out"]),
        },
    }


def _begin(config: Config, out: Path, state_path: Path, resume: bool | None) -> Run:
    if not out.parent.is_dir():
        raise TrainingError(f"the folder {out.parent} does not exist; create it first")
    interrupted = state_path.is_file()
    if interrupted and resume is None:
        raise TrainingError(f"{state_path} holds an interrupted run; add --resume or --restart")
    if resume and not interrupted:
        raise TrainingError(f"there is no interrupted run at {state_path}; leave out --resume")
    return load_state(state_path, config) if resume else start(config)


def _train_epochs(
    run: Run, parts: dict[digits.Part, digits.Digits], state_path: Path, console: Console
) -> None:
    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=run.config.epochs, completed=run.epoch)
        while run.epoch < run.config.epochs:
            loss = train_epoch(run, parts["train"])
            save_state(run, state_path)
            share = accuracy(run.model, parts["validation"])
            text = f"loss {loss:.3f}, validation accuracy {share:.2%}"
            progress.update(task, completed=run.epoch, description=text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
