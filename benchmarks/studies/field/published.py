"""``python -m cnn_export.benchmarks.studies.field.published [NAME…]``: what variants become here.

Every variant of this package whose size is published, with values as training leaves them, is
exported to TFLite and ExecuTorch; the TFLite file is timed beside MobileNetV2's in the same
processes, on this host. What has its row in ``--results`` is not made again; ``--no-time`` leaves
the times out. ``python -m cnn_export.benchmarks.studies.recognition.list_of_models`` puts the rows
into ``models/README.md``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from cnn_export.benchmarks.studies.field.jobs import Job, carry_out
from cnn_export.benchmarks.studies.field.rows import Row
from cnn_export.benchmarks.studies.field.table import markdown, partitions
from cnn_export.models.registry import architectures
from cnn_export.targets import TARGETS

RESULTS = Path(__file__).with_name("published.jsonl")
REFERENCE = "mobilenet_v2"
WANTED = ("tflite", "executorch")
TIMED = "tflite"
_HEADS = {"tflite": "TFLite", "executorch": "ExecuTorch"}
_WORKER = (sys.executable, "-m", "cnn_export.benchmarks.studies.field.zoo_job")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--time/--no-time", "timed", default=True, show_default=True)
@click.option("--repeats", type=click.IntRange(min=2), default=12, show_default=True)
def main(names: tuple[str, ...], results: Path, timed: bool, repeats: int) -> None:
    """Export every published variant, or those called NAME, and print the table of all rows."""
    with tempfile.TemporaryDirectory() as folder:
        asked: tuple[str, ...] = ()
        if timed:
            asked = ("--against", str(_reference(Path(folder))), "--repeats", str(repeats))
        jobs = [_job(name, asked) for name in names or _published()]
        rows = carry_out(jobs, results, "Exporting")
    click.echo(markdown(rows, ("network", "from")), nl=False)


def columns(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return, by heading, what each network's name has in that column; none without figures.

    Ratios stand there where their interval is narrow enough, and are of one host.
    """
    shown = {_HEADS[target]: _partitions(rows, target) for target in WANTED}
    ratios = {row.file: cell.ratio for row in rows if (cell := row.cells.get(TIMED)) and cell.ratio}
    sound = {name: str(each) for name, each in ratios.items() if each.sound}
    hosts = {ratios[name].host for name in sound}
    if len(hosts) == 1:
        shown[f"time over MobileNetV2's, TFLite, {hosts.pop()}"] = sound
    return {head: cells for head, cells in shown.items() if cells}


def _partitions(rows: Sequence[Row], target: str) -> dict[str, str]:
    cells = {row.file: row.cells[target] for row in rows if target in row.cells}
    return {name: partitions(cell) for name, cell in cells.items()}


def _published() -> Iterable[str]:
    rows = (row for each in architectures().values() for row in each.published)
    return (row.name for row in rows if row.counted)


def _reference(folder: Path) -> Path:
    """Export the network that all others are timed against.

    Raises:
        subprocess.CalledProcessError: it was not; the worker has said why.
    """
    command = [*_WORKER, f"published:{REFERENCE}", TIMED, "--no-bare", "--output", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (file,) = folder.glob(f"*{TARGETS[TIMED].suffix}")
    return file


def _job(name: str, timing: tuple[str, ...]) -> Job:
    command = (*_WORKER, f"published:{name}", *WANTED, "--no-bare", *timing)
    return Job(name, WANTED, command, lambda: "published")


if __name__ == "__main__":
    main()
