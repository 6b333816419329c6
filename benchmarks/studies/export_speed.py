"""What the exporter costs beside bare calls.

Run as ``python -m cnn_export.benchmarks.studies.export_speed``.

Whole processes, interleaved: every ratio is of two processes that ran one after the other.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cnn_export.benchmarks.studies.export.findings import Finding, round_findings, startup_findings
from cnn_export.benchmarks.studies.export.rounds import Round, published_weights, run_round
from cnn_export.benchmarks.studies.processes import Usage, imported_modules, measure_process
from cnn_export.command_line.console import result_console
from cnn_export.command_line.edge import run_command
from cnn_export.errors import ExportError
from cnn_export.targets import TARGETS

NAME = "export-speed"
STARTUP_OPTIONS = ("--help", "--version", "--list-targets")
_FILE_WIDTH = 120


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--repeats", type=click.IntRange(min=3), default=3, show_default=True, help="Rounds.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=click.Choice(list(TARGETS)),
    help="Only this format against its bare call; repeatable. Default: all four.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Checkpoint of torchvision's MobileNetV2. Default: the published one, if installed.",
)
@click.option("--startup-only", is_flag=True, help="Measure only what needs no torch.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    repeats: int, targets: tuple[str, ...], weights: Path | None, startup_only: bool, as_json: bool
) -> None:
    """Measure cnn-export's startup, and its time and memory beside the vendors' bare calls."""
    startup = measure_startup(repeats)
    findings = startup_findings(startup)
    rounds: list[Round] = []
    if not startup_only:
        chosen = list(dict.fromkeys(targets)) or list(TARGETS)
        rounds = measure_rounds(repeats, chosen, weights or published_weights())
        findings += round_findings(rounds)
    click.echo(_document(findings, startup, rounds)) if as_json else _show(findings, repeats)


def measure_startup(repeats: int) -> dict[str, list[Usage]]:
    """Run each option that must answer at once, interleaved.

    Raises:
        ExportError: one of them imports torch.
    """
    for option in STARTUP_OPTIONS:
        if "torch" in imported_modules(["-m", "cnn_export", option]):
            raise ExportError(f"cnn-export {option} imports torch; it must not")
    usages: dict[str, list[Usage]] = {option: [] for option in STARTUP_OPTIONS}
    for _ in range(repeats):
        for option, measured in usages.items():
            measured.append(measure_process([sys.executable, "-m", "cnn_export", option]))
    return usages


def measure_rounds(repeats: int, targets: Sequence[str], weights: Path) -> list[Round]:
    """Run the rounds; one line on stderr tells of each process as it ends."""
    progress = Console(stderr=True, highlight=False)

    def measure(arguments: Sequence[str]) -> Usage:
        usage = measure_process(arguments)
        gigabytes = usage.peak_bytes / 1e9
        progress.print(
            f"{arguments[2].rpartition('.')[2]} {Path(arguments[-1]).name}: "
            f"{usage.wall_s:.1f} s, {usage.cpu_s:.1f} s of CPU, {gigabytes:.2f} GB"
        )
        return usage

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "out"
        return [run_round(targets, weights, work, measure) for _ in range(repeats)]


def _document(
    findings: Sequence[Finding], startup: dict[str, list[Usage]], rounds: Sequence[Round]
) -> str:
    document = {
        "findings": [dataclasses.asdict(f) | {"verdict": f.verdict} for f in findings],
        "startup": {name: [dataclasses.asdict(u) for u in us] for name, us in startup.items()},
        "rounds": [dataclasses.asdict(each) for each in rounds],
    }
    return json.dumps(document, indent=2)


def _show(findings: Sequence[Finding], repeats: int) -> None:
    console = result_console(width=_FILE_WIDTH)
    title = f"cnn-export on this host, {repeats} rounds, median and range"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("what", "quantity"):
        table.add_column(heading)
    for heading in ("median", "range", "limit", "verdict"):
        table.add_column(heading, justify="right")
    for finding in findings:
        table.add_row(*_cells(finding))
    console.print(table)


def _cells(finding: Finding) -> list[str]:
    measured, unit = finding.measured, " s" if finding.unit == "s" else ""
    return [
        finding.subject,
        finding.quantity,
        f"{measured.median:.2f}{unit}",
        f"{measured.low:.2f}–{measured.high:.2f}",  # noqa: RUF001
        "" if finding.limit is None else f"{finding.limit:.2f}",
        finding.verdict,
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(command, NAME, argv)


if __name__ == "__main__":
    sys.exit(main())
