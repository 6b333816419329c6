"""What int8 costs networks with real weights, measured with the integers that artifacts hold.

Run as ``python -m cnn_export.benchmarks.studies.int8.accuracy``.

``figures`` compares ways to choose ranges and weights; ``twice`` asks what the calibration data
decides; ``repair`` finds the layers behind a quantization that fails, and keeps them float. Answers
of int8 are those of the emulation, which artifacts equal bit for bit. The results are in
``export/quantization/README.md``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.studies.int8.networks import SUBJECTS, Subject
from cnn_export.benchmarks.studies.int8.quantizing import Quantizer, figures
from cnn_export.benchmarks.studies.int8.variants import VARIANTS
from cnn_export.command_line.edge import run_command
from cnn_export.errors import AccuracyRefused
from cnn_export.quantization.accuracy.figures import OutputFigures
from cnn_export.quantization.accuracy.float_layers.keep_float import choose_float
from cnn_export.quantization.accuracy.float_layers.sensitivity import EVALUATIONS_MAX
from cnn_export.quantization.accuracy.refusal import keep_options, require_accuracy
from cnn_export.quantization.accuracy.verdict import judge

NAME = "int8-accuracy"
_WIDTH, _WORST = 140, 5
_VARIANT = click.Choice(list(VARIANTS))
_ONE_VARIANT = click.option("--variant", type=_VARIANT, default="min/max", show_default=True)


SubjectMaker = Callable[[], AbstractContextManager[Subject]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("network", type=click.Choice(list(SUBJECTS)))
@click.option("--calibration", type=click.IntRange(min=16), default=128, show_default=True)
@click.option("--judging", type=click.IntRange(min=8), default=256, show_default=True)
@click.pass_context
def command(context: click.Context, network: str, calibration: int, judging: int) -> None:
    """Measure int8's accuracy on NETWORK."""
    torch.set_num_threads(1)
    context.obj = lambda: _subject(network, calibration, judging)


@command.command("figures")
@click.option("--variant", "variants", type=_VARIANT, multiple=True, default=tuple(VARIANTS))
@click.pass_obj
def compare(made: SubjectMaker, variants: Sequence[str]) -> None:
    """Compare ways to choose ranges and weight scales, over all folds."""
    with made() as subject:
        folds = [Quantizer(subject, fold) for fold in range(len(subject.samples))]
        for name in variants:
            runs = [(each, each.run(each.decide(VARIANTS[name]))) for each in folds]
            pairs = itertools.chain.from_iterable(each.pairs(run) for each, run in runs)
            _print(name, figures(subject, pairs))


@command.command()
@_ONE_VARIANT
@click.pass_obj
def twice(made: SubjectMaker, variant: str) -> None:
    """Calibrate on two halves of the first fold's samples, and compare the two networks."""
    with made() as subject:
        found = Quantizer(subject).twice(VARIANTS[variant])
        _print(f"second half against first, {variant}", found.figures)
        click.echo(f"scales: median ratio {found.median_ratio:.3f}; {found}")


@command.command()
@_ONE_VARIANT
@click.option(
    "--evaluations", type=click.IntRange(min=2), default=EVALUATIONS_MAX, show_default=True
)
@click.pass_obj
def repair(made: SubjectMaker, variant: str, evaluations: int) -> None:
    """Say what is wrong in the first fold, and keep the cheapest layers float that mend it."""
    chosen_variant = VARIANTS[variant]
    with made() as subject:
        quantizer = Quantizer(subject)
        sensitivity = quantizer.sensitivity(chosen_variant, evaluations)
        for each in sensitivity[:_WORST]:
            own = "" if each.measured else ", as its group's part"
            click.echo(f"{each.layer.name}: error falls by {each.gain:.4f} where it is float{own}")
        before = figures(subject, quantizer.pairs(quantizer.run(quantizer.decide(chosen_variant))))
        _print(variant, before)
        try:
            require_accuracy(judge(before), sensitivity)
        except AccuracyRefused as refused:
            click.echo(f"refused: {refused}")
        chosen = choose_float(sensitivity, lambda kept: quantizer.meets(chosen_variant, kept))
        if chosen is None:
            click.echo("no set of float layers meets the bounds")
            return
        kept = quantizer.run(quantizer.decide(chosen_variant, frozenset(chosen.names)))
        _print(
            f"{variant}, {len(chosen.names)} layers float", figures(subject, quantizer.pairs(kept))
        )
        click.echo(
            f"{chosen.macs_share:.1%} of the multiply-accumulates and {chosen.bytes_share:.1%} of"
            f" the weights in float, {chosen.tried} networks tried: {keep_options(chosen.names)}"
        )


@contextmanager
def _subject(network: str, calibration: int, judging: int) -> Generator[Subject]:
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        yield SUBJECTS[network](Path(folder), calibration, judging)


def _print(title: str, found: Sequence[OutputFigures]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in (
        "output",
        "agreement",
        "where fp32 is sure",
        "cosine",
        "explained",
        "SNR",
        "right",
    ):
        table.add_column(heading)
    for each in found:
        truth = each.true_classes
        table.add_row(
            each.name,
            str(each.agreement or "-"),
            str(each.agreement_sure or "-"),
            f"{each.cosine:.4f} (worst {each.cosine_worst:.3f})",
            f"{each.explained or 0:.4f}",
            f"{each.snr_db:.1f} dB",
            f"{truth.fp32.count} → {truth.int8.count}" if truth else "-",
        )
    Console(width=_WIDTH).print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
