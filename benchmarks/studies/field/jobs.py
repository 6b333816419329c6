"""Exports in processes of their own, each a row of a results file; what is there is not made again.

A job that a signal or the time limit ended leaves no row: the next call takes it up again.
"""

from __future__ import annotations

import dataclasses
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from cnn_export.benchmarks.studies.field.rows import (
    Ended,
    Row,
    as_line,
    from_line,
    merged,
    open_targets,
    read_job,
)

_TIMEOUT_S = 1800


@dataclasses.dataclass(frozen=True)
class Job:
    """One process: ``command`` takes ``--output FOLDER`` and prints as ``cnn-export --json`` does.

    ``file`` names its row; ``network`` says, once it has ended, what was exported.
    """

    file: str
    targets: tuple[str, ...]
    command: tuple[str, ...]
    network: Callable[[], str]


def carry_out(jobs: Sequence[Job], results: Path, doing: str) -> list[Row]:
    """Do the jobs whose row is not in ``results`` yet, and return all rows there."""
    done = {row.file: row for row in rows_in(results)}
    left = [job for job in jobs if open_targets(done.get(job.file), job.targets)]
    for job in track(left, doing, console=Console(stderr=True), disable=not left):
        try:
            row = _row(job)
        except (ValueError, subprocess.TimeoutExpired) as error:
            click.echo(f"no row: {error}", err=True)
            continue
        with results.open("a", encoding="utf-8") as lines:
            lines.write(as_line(row) + "\n")
    return rows_in(results)


def rows_in(results: Path) -> list[Row]:
    """Return the rows of a results file, one a network; none where there is no file."""
    if not results.exists():
        return []
    return merged([from_line(line) for line in results.read_text("utf-8").splitlines()])


def _row(job: Job) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*job.command, "--output", folder],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    ended = Ended(done.returncode, done.stdout, done.stderr)
    return read_job(job.file, job.network(), job.targets, ended)
