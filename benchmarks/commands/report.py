"""``cnn-bench report``: one self-contained HTML page over a results file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path),
    help="The page. [default: the results file's name with .html]",
)  # fmt: skip
@click.option(
    "--profile", "profiles", multiple=True, type=click.Path(path_type=Path),
    help="A document of cnn-bench profile --json (repeatable).",
)  # fmt: skip
@click.option(
    "--artifact", "artifacts", multiple=True, type=click.Path(path_type=Path),
    help="An artifact whose cost per operator is shown (repeatable).",
)  # fmt: skip
@click.option(
    "--budgets",
    type=click.Path(path_type=Path),
    help="Judged as by cnn-bench gate.",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as one JSON document.")
def command(
    results: Path,
    out: Path | None,
    profiles: tuple[Path, ...],
    artifacts: tuple[Path, ...],
    budgets: Path | None,
    as_json: bool,
) -> None:
    """Draw what RESULTS holds: distributions, times against clock, cost, operators, budgets.

    The page loads nothing, reads light or dark as the system asks, and states what it left out.
    """
    from cnn_export.atomic_commit import require_apart
    from cnn_export.benchmarks.report.writing import Sources, page_of, write_page

    page = out or results.with_suffix(".html")
    require_apart((results, *profiles, *artifacts, budgets), (page,))
    html = page_of(Sources(results, profiles, artifacts, budgets))
    write_page(page, html)
    if as_json:
        import json

        click.echo(json.dumps({"page": str(page), "bytes": len(html.encode())}))
    else:
        click.echo(f"{page}: {len(html.encode()) / 1e6:.1f} MB")
