"""What a person or a machine sees of a job: steps while it runs, a table or JSON at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Generator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnn_export.command_line.console import notes_console, result_console
from cnn_export.command_line.terminal import printable
from cnn_export.job.explain import explanation, legalization_explanations
from cnn_export.job.int8.display import int8_summary, layer_table
from cnn_export.job.request import ExportResult, Step, silent_step
from cnn_export.manifest.fields import Parity, Partitions

_MILLION = 1e6
_FILE_WIDTH = 4096
"""Columns of output that goes to a file or pipe, where nothing needs folding."""

_UNSPLIT_DELEGATES = frozenset({"CPUExecutionProvider", "Core ML"})
"""Delegates that take the whole file by construction: their one partition is no measurement."""


def steps(*, hidden: bool) -> Step:
    """Return the progress display: one line per finished step, on a terminal only."""
    if hidden or not sys.stderr.isatty():
        return silent_step
    # Vendor output is silenced by redirecting descriptor 2, so progress needs its own copy.
    console = notes_console(file=os.fdopen(os.dup(2), "w", errors="backslashreplace"))

    @contextlib.contextmanager
    def step(name: str) -> Generator[None]:
        start = time.perf_counter()
        with console.status(name):
            yield
        console.print(f"[green]✓[/green] {name} [dim]{time.perf_counter() - start:.1f} s[/dim]")

    return step


def as_json(result: ExportResult) -> str:
    """Return the result as one JSON document."""
    document = {
        "artifacts": [
            {
                "path": str(artifact.path),
                "manifest_path": str(artifact.manifest_path),
                "manifest": artifact.manifest.model_dump(mode="json"),
            }
            for artifact in result.artifacts
        ],
        "normalization": (
            None if result.normalization is None else dataclasses.asdict(result.normalization)
        ),
        "report": None if result.report is None else dataclasses.asdict(result.report),
        "forms": {name: dataclasses.asdict(each) for name, each in result.forms.items()},
        "refusals": {name: list(texts) for name, texts in result.refusals.items()},
        "notes": list(result.notes),
        "approximation": (
            None if result.approximation is None else result.approximation.model_dump(mode="json")
        ),
    }
    return json.dumps(document, indent=2)


def show(result: ExportResult, *, explain: bool) -> None:
    """Print the result for a person: tables on stdout, notes on stderr."""
    console = result_console(width=_FILE_WIDTH, soft_wrap=True)
    notes = notes_console(soft_wrap=True)
    for note in result.notes:
        notes.print(f"note: {printable(note)}", markup=False, highlight=False)
    if explain:
        _show_report(console, result)
    if result.artifacts:
        _show_artifacts(console, result)
    for name, refusals in result.refusals.items():
        verdict = "; ".join(refusals) or "every operator has a lowering"
        console.print(f"{name}: {verdict}", markup=False, highlight=False)


def _show_artifacts(console: Console, result: ExportResult) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("target", "file"):
        table.add_column(title)
    for title in ("MB", "M MACs", "partitions", "ops outside", "error / RMS", "limit"):
        table.add_column(title, justify="right")
    for artifact in result.artifacts:
        manifest = artifact.manifest
        worst = max(manifest.parity.figures, key=lambda f: f.relative_error / (f.limit or 1.0))
        table.add_row(
            manifest.target,
            Text(_relative(str(artifact.path))),
            f"{manifest.artifact_bytes / _MILLION:.2f}",
            f"{manifest.macs / _MILLION:.1f}",
            _partitions(manifest.partitions),
            str(sum(op.count for op in manifest.partitions.outside)),
            f"{worst.relative_error:.1e}",
            _limit(manifest.parity, worst.limit),
        )
    console.print(table)
    for artifact in result.artifacts:
        for line in int8_summary(artifact.manifest):
            console.print(line, markup=False, highlight=False)


def _limit(parity: Parity, proven: float) -> str:
    return f"{proven:.1e}" if parity.accepted is None else f"{parity.accepted:g} (accepted)"


def _partitions(split: Partitions) -> str:
    return "–" if split.delegate in _UNSPLIT_DELEGATES else str(split.partitions)  # noqa: RUF001


def _relative(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _show_report(console: Console, result: ExportResult) -> None:
    stage = ["reparameterization: switched off"]
    if result.report is not None:
        stage = [explanation(result.report)]
    if result.normalization is not None:
        stage.insert(0, explanation(result.normalization, "Normalization"))
    for text in (*stage, *legalization_explanations(result.forms)):
        console.print(f"{text}\n", markup=False, highlight=False)
    if result.quantized is not None:
        console.print(layer_table(result.quantized))
