"""One network of the zoo, in this process: ``NAME TARGET… --output FOLDER``.

Prints what ``cnn-export --json`` prints, every target's refusal beside the artifacts of the others,
and what the vendors' own calls on the same network came to.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import click

from cnn_export import Artifact, export
from cnn_export.benchmarks.studies.bare_export import BARE
from cnn_export.benchmarks.studies.field.ratios import ratio
from cnn_export.benchmarks.studies.field.rows import Bare
from cnn_export.benchmarks.studies.field.zoo_networks import built
from cnn_export.command_line.edge import run_command
from cnn_export.errors import ExportError, one_line
from cnn_export.targets import TARGETS, load_target

_NAME = "cnn-export"
_STDOUT, _STDERR = 1, 2


@click.command()
@click.argument("name")
@click.argument("targets", nargs=-1, required=True, type=click.Choice(sorted(TARGETS)))
@click.option("--output", type=click.Path(path_type=Path), required=True)
@click.option("--bare/--no-bare", default=True, help="Also by each vendor's own call.")
@click.option("--against", type=click.Path(exists=True, path_type=Path), help="Time beside it.")
@click.option("--repeats", type=click.IntRange(min=2), default=12)
def command(
    name: str,
    targets: tuple[str, ...],
    output: Path,
    bare: bool,
    against: Path | None,
    repeats: int,
) -> None:
    """Export the network NAME to TARGETS, proven; time what is of AGAINST's format beside it."""
    built(name)  # a name that does not exist is no target's refusal
    made: dict[str, Any] = {"artifacts": [], "refusals": {}, "bare": {}, "ratio": {}}
    with _converters_on_stderr():
        for target in targets:
            artifact = _make(name, target, output, made)
            if bare:
                made["bare"][target] = vars(bare_call(name, target, output))
            if artifact and against and against.suffix == artifact.suffix:
                made["ratio"][target] = vars(ratio(against, artifact, repeats))
    click.echo(json.dumps(made))


def exported(name: str, target: str, output: Path) -> Artifact:
    """Export a network of the zoo as a module in memory.

    Raises:
        ExportError: as ``cnn_export.export`` raises.
    """
    network, inputs = built(name)
    return export(network, target, output=output, example_inputs=inputs).artifact


def bare_call(name: str, target: str, output: Path) -> Bare:
    """Return what the vendor's own call makes of a network, built anew for it."""
    path = output / f"bare{TARGETS[target].suffix}"
    try:
        BARE[target](*built(name), str(path))
        split = load_target(target).partitions(path)
    except Exception as error:  # whatever the vendor's call raises
        return Bare(refusal=f"{type(error).__name__}: {one_line(error)}")
    operators = split.delegated_ops + sum(each.count for each in split.outside)
    return Bare(partitions=split.partitions, operators=operators)


def _make(name: str, target: str, output: Path, made: dict[str, Any]) -> Path | None:
    try:
        artifact = exported(name, target, output)
        made["artifacts"].append({"manifest": artifact.manifest.model_dump(mode="json")})
        return artifact.path
    except ExportError as error:
        made["refusals"][target] = str(error)
    except Exception as error:  # what nobody foresaw is the worst answer, and an answer
        made["refusals"][target] = f"internal: {type(error).__name__}: {one_line(error)}"
    return None


@contextlib.contextmanager
def _converters_on_stderr() -> Generator[None]:
    """Keep what converters print, from C++ too, out of the document on standard output."""
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, _NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
