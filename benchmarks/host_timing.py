"""``python -m cnn_export.benchmarks.host_timing ARTIFACT…``: time artifacts on this host.

Every repeat is a fresh process; artifacts take turns in a seeded random order. Never loads torch.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from cnn_export.benchmarks import host_report
from cnn_export.benchmarks.entry import run_command
from cnn_export.benchmarks.host import THREADS, run_worker
from cnn_export.benchmarks.host_report import Conditions, Timing
from cnn_export.benchmarks.runtimes import runtime_of, runtime_version
from cnn_export.benchmarks.schedule import interleaved
from cnn_export.benchmarks.session import Session
from cnn_export.benchmarks.summary import summarize
from cnn_export.errors import ExportError, UsageError
from cnn_export.manifest import Manifest, manifest_path, read_manifest

NAME = "host-timing"
_SEED = 20210711


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Fresh processes per artifact.",
)
@click.option(
    "--min-time-s",
    type=click.FloatRange(min=0, max=3600, min_open=True),
    default=0.5,
    show_default=True,
    help="Measuring time of each process, seconds.",
)
@click.option(
    "--seed", type=int, default=_SEED, show_default=True, help="Of the order of the processes."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    artifacts: tuple[Path, ...], repeats: int, min_time_s: float, seed: int, as_json: bool
) -> None:
    """Time ARTIFACTS (.tflite, .onnx, .pte) on this host, each proven by its manifest first."""
    conditions = Conditions(repeats, min_time_s, THREADS, seed)
    timings = time_artifacts(artifacts, conditions)
    if as_json:
        click.echo(host_report.as_json(timings, conditions))
    else:
        host_report.show(timings, conditions)


def time_artifacts(artifacts: Sequence[Path], conditions: Conditions) -> list[Timing]:
    """Time each artifact in ``conditions.repeats`` processes, interleaved.

    Raises:
        ExportError: an artifact is refused, a runtime is missing, or a repeat did not count.
    """
    if len(set(artifacts)) != len(artifacts):
        raise UsageError("an artifact is given twice; give each once")
    manifests = {path: _checked(path) for path in artifacts}
    repeats = _measured(artifacts, conditions)
    return [
        Timing(path, manifests[path], done[0].hello, summarize([r.samples_ns for r in done]))
        for path, done in repeats.items()
    ]


def _checked(path: Path) -> Manifest:
    """Refuse before the first process starts what can be refused by looking at it."""
    runtime_version(runtime_of(path))
    return read_manifest(manifest_path(path))


def _measured(artifacts: Sequence[Path], conditions: Conditions) -> dict[Path, list[Session]]:
    repeats: dict[Path, list[Session]] = {path: [] for path in artifacts}
    turns = interleaved(artifacts, conditions.repeats, conditions.seed)
    progress = Console(stderr=True, quiet=not sys.stderr.isatty())
    with progress.status("starting") as status:
        for turn, path in enumerate(turns, start=1):
            status.update(f"{path.name} (process {turn} of {len(turns)})")
            repeats[path].append(_repeat(path, conditions.min_time_s))
    return repeats


def _repeat(path: Path, min_time_s: float) -> Session:
    try:
        return run_worker(path, min_time_s)
    except ExportError as error:
        message = str(error)
        named = message if path.name in message else f"{path}: {message}"
        raise type(error)(named) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
