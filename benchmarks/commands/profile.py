"""``cnn-bench profile``: time per operator, from the runtime's own profiler."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("profile")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--inferences", type=click.IntRange(1, 10_000), default=100, show_default=True,
    help="Counted inferences; a fifth as many come before them.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), help="Show the slowest operators only.")
@click.option(
    "--roofline", is_flag=True, help="Measure this host's peaks and say how far operators are."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(
    artifact: Path,
    threads: int,
    inferences: int,
    top: int | None,
    roofline: bool,
    as_json: bool,
) -> None:
    """Show where an artifact's time goes, operator by operator, beside macs and mac_bytes.

    ARTIFACT is a .tflite or .onnx file with its manifest. The sum over operators stands
    beside the whole call, and what lies between is named.
    """
    from cnn_export.benchmarks.profiles.process import profiled

    found = profiled(artifact, threads, inferences)
    if roofline:
        from cnn_export.benchmarks.profiles.document import measured_roofline

        found = found.model_copy(update={"roofline": measured_roofline(threads)})
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    from cnn_export.benchmarks.profiles.display import show

    show(found, top)
