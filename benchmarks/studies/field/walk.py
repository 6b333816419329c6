"""``python -m cnn_export.benchmarks.studies.field.walk FILE…``: each from the file alone.

Each checkpoint is exported by the command that a user would type, in a process of its own, and
becomes a row of ``--results``; a file that has its row is not exported again. Where one target is
refused, nothing is written: the others are asked for one by one then. ``--write`` puts the table of
all rows into ``models/README.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

import cnn_export.models
from cnn_export.benchmarks.studies.field.jobs import Job, carry_out, rows_in
from cnn_export.benchmarks.studies.field.pages import page_with
from cnn_export.benchmarks.studies.field.rows import open_targets
from cnn_export.benchmarks.studies.field.table import markdown
from cnn_export.errors import ExportError
from cnn_export.source.load import load
from cnn_export.source.request import SourceRequest
from cnn_export.targets import TARGETS

README = Path(cnn_export.models.__file__).parent / "README.md"
RESULTS = Path(__file__).with_name("field.jsonl")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--target", "targets", multiple=True, type=click.Choice(sorted(TARGETS)))
@click.option("--write", is_flag=True, help="Put the table into models/README.md as well.")
def main(files: tuple[Path, ...], results: Path, targets: tuple[str, ...], write: bool) -> None:
    """Export every FILE, and print the table of all rows in the results file."""
    wanted = targets or tuple(sorted(TARGETS))
    whole = {_name(file): file for file in files}
    for row in rows_in(results):
        whole.pop(row.file, None)
    rows = carry_out([_job(file, wanted) for file in whole.values()], results, "Walking")
    known = {row.file: row for row in rows}
    alone = [
        _job(file, (target,))
        for file in files
        if _name(file) in known
        for target in open_targets(known[_name(file)], wanted)
    ]
    text = markdown(carry_out(alone, results, "One by one"))
    click.echo(text, nl=False)
    if write:
        README.write_text(readme_with(text), "utf-8")


def readme_with(text: str) -> str:
    """Return ``models/README.md`` with this table between its marks."""
    return page_with(README, "cnn_export.benchmarks.studies.field.walk --write", text)


def _name(file: Path) -> str:
    """Authors call many files alike; the folder tells them apart."""
    return f"{file.parent.name}/{file.name}"


def _job(file: Path, targets: tuple[str, ...]) -> Job:
    asked = [part for target in targets for part in ("--target", target)]
    command = (sys.executable, "-m", "cnn_export", str(file), *asked, "--json")
    return Job(_name(file), targets, command, lambda: _recognised(file))


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
