"""``python -m cnn_export.benchmarks.studies.field.walk FILE…``: each from the file alone.

Each checkpoint is exported by the command that a user would type, in a process of its own, and
becomes a row of ``--results``; a file that has its row is not exported again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cnn_export.benchmarks.studies.field.jobs import Job, carry_out
from cnn_export.benchmarks.studies.field.table import markdown
from cnn_export.errors import ExportError
from cnn_export.source.load import load
from cnn_export.source.request import SourceRequest
from cnn_export.targets import TARGETS


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), default=Path("field.jsonl"))
@click.option("--target", "targets", multiple=True, type=click.Choice(sorted(TARGETS)))
def main(files: tuple[Path, ...], results: Path, targets: tuple[str, ...]) -> None:
    """Export every FILE, and print the table of all rows in the results file."""
    jobs = [_job(file, targets or tuple(sorted(TARGETS))) for file in files]
    click.echo(markdown(carry_out(jobs, results, "Walking")), nl=False)


def _job(file: Path, targets: tuple[str, ...]) -> Job:
    asked = [part for target in targets for part in ("--target", target)]
    command = (sys.executable, "-m", "cnn_export", str(file), *asked, "--json")
    # Authors call many files alike; the folder tells them apart.
    name = f"{file.parent.name}/{file.name}"
    return Job(name, targets, command, lambda: _recognised(file))


def _recognised(file: Path) -> str:
    """Ask the exporter's own loader, so that a refusal further on hides nothing."""
    try:
        origin = load(SourceRequest(file)).origin
    except ExportError:
        return ""
    arguments = ", ".join(f"{key}={value}" for key, value in origin.arguments.items())
    return f"{origin.model}({arguments})"


if __name__ == "__main__":
    main()
