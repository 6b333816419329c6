"""``python -m cnn_export.benchmarks.studies.field.walk FILE…``: each from the file alone.

Each checkpoint is exported by the command that a user would type, in a process of its own, and
becomes a row of ``--results``; a file that has its row is not exported again. A job that a signal
or the time limit ended leaves no row: the next walk takes it up again.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from cnn_export.benchmarks.studies.field.rows import Ended, Row, as_line, from_line, read_job
from cnn_export.benchmarks.studies.field.table import markdown
from cnn_export.errors import ExportError
from cnn_export.source.load import load
from cnn_export.source.request import SourceRequest
from cnn_export.targets import TARGETS

_TIMEOUT_S = 1800


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), default=Path("field.jsonl"))
@click.option("--target", "targets", multiple=True, type=click.Choice(sorted(TARGETS)))
def main(files: tuple[Path, ...], results: Path, targets: tuple[str, ...]) -> None:
    """Export every FILE, and print the table of all rows in the results file."""
    wanted = targets or tuple(sorted(TARGETS))
    done = {row.file for row in _rows(results)}
    left = [file for file in files if _name(file) not in done]
    for file in track(left, "Walking", console=Console(stderr=True), disable=not left):
        try:
            row = _walked(file, wanted)
        except (ValueError, subprocess.TimeoutExpired) as error:
            click.echo(f"no row: {error}", err=True)
            continue
        with results.open("a", encoding="utf-8") as lines:
            lines.write(as_line(row) + "\n")
    click.echo(markdown(_rows(results)), nl=False)


def _rows(results: Path) -> list[Row]:
    if not results.exists():
        return []
    return [from_line(line) for line in results.read_text("utf-8").splitlines()]


def _name(file: Path) -> str:
    """Authors call many files alike; the folder tells them apart."""
    return f"{file.parent.name}/{file.name}"


def _walked(file: Path, targets: tuple[str, ...]) -> Row:
    asked = [part for target in targets for part in ("--target", target)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cnn_export", str(file), *asked]
        job = subprocess.run(
            [*command, "--json", "--output", folder],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    return read_job(
        _name(file), _recognised(file), targets, Ended(job.returncode, job.stdout, job.stderr)
    )


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
