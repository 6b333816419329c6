"""``cnn-bench gate``: hold results or artifacts against budgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnn_export.benchmarks.gate.candidates import Candidate
    from cnn_export.benchmarks.gate.judge import Verdict
    from cnn_export.benchmarks.results.series import Results

_FILE = click.Path(path_type=Path)


@click.command("gate")
@click.argument("results", required=False, type=_FILE)
@click.option("--artifact", "artifacts", multiple=True, type=_FILE, help="Judged without running.")
@click.option("--budgets", "budget_file", required=True, type=_FILE, help="TOML; see the manual.")
@click.option("--baseline", type=_FILE, help="Earlier results, for regression_percent.")
@click.option("--allow-unmatched", is_flag=True, help="Leave unjudged what does not fit.")
@click.option(
    "--allow-missing", is_flag=True, help="Judge in spite of what only the baseline has, or lacks."
)
@click.option(
    "--ignore-flag", "ignored_flags", multiple=True, help="Compare in spite of this condition."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--junit", type=_FILE, help="Write JUnit XML.")
@click.option("--markdown", type=_FILE, help="Append to a job's summary.")
@click.option("--bmf", type=_FILE, help="Write Bencher Metric Format.")
def command(
    results: Path | None,
    artifacts: tuple[Path, ...],
    budget_file: Path,
    baseline: Path | None,
    allow_unmatched: bool,
    allow_missing: bool,
    ignored_flags: tuple[str, ...],
    as_json: bool,
    **outputs: Path | None,
) -> None:
    """Judge RESULTS.jsonl, or artifact files, against budgets.

    Exit 0: all met, and all that was planned is there; 10: over budget, slower, or failed to run;
    11: undecided or lost, with what would decide. A budget without a result and a result without
    a budget are refused (4), unless allowed; so is what only the baseline has.
    """
    from cnn_export.atomic_commit import require_apart
    from cnn_export.benchmarks.gate.budgets import read_budgets
    from cnn_export.benchmarks.gate.candidates import shortfalls_of
    from cnn_export.benchmarks.gate.judge import judge
    from cnn_export.benchmarks.gate.regression import Regressions
    from cnn_export.benchmarks.results.read_series import read_results

    _require_sensible(results, artifacts, baseline)
    require_apart((results, *artifacts, budget_file, baseline), outputs.values())
    budgets = read_budgets(budget_file)
    measured = read_results(results) if results else None
    earlier = read_results(baseline) if baseline else None
    candidates = _candidates(measured, artifacts)
    lacking = shortfalls_of(measured) if measured else []
    verdict = judge(candidates, budgets, Regressions(measured, earlier, ignored_flags), lacking)
    if measured and earlier and baseline:
        # After judging, which names the fields where the same thing ran elsewhere or otherwise.
        _require_kept(measured, earlier, baseline, allow_missing)
    _require_matched(verdict, budget_file, allow_unmatched)
    _write(candidates, verdict, outputs)
    _show(verdict, as_json)
    _require_met(verdict)


def _require_sensible(
    results: Path | None, artifacts: Sequence[Path], baseline: Path | None
) -> None:
    from cnn_export.errors import UsageError

    if results is None and not artifacts:
        raise UsageError("nothing to judge; give RESULTS.jsonl or --artifact FILE")
    if results is None and baseline is not None:
        raise UsageError("--baseline compares times; give RESULTS.jsonl with it")
    if len(set(artifacts)) != len(artifacts):
        raise UsageError("an --artifact is given twice; give each once")


def _candidates(measured: Results | None, artifacts: Sequence[Path]) -> list[Candidate]:
    from cnn_export.benchmarks.gate.candidates import candidates_of

    found = candidates_of(measured) if measured else []
    if artifacts:
        from cnn_export.benchmarks.gate.candidates import read_candidate

        found += [read_candidate(path) for path in artifacts]
    return found


def _require_kept(measured: Results, earlier: Results, baseline: Path, allowed: bool) -> None:
    """Refuse results that lack what the baseline has, and a baseline that lacks processes."""
    from cnn_export.benchmarks.results.plan.missing import missing_lines
    from cnn_export.command_line.console import warn
    from cnn_export.errors import InputRefused

    found = [
        f"the results lack {label}, which {baseline} has" for label in _gone(measured, earlier)
    ]
    found += [f"{baseline} lacks {line}" for line in missing_lines(earlier.missing_timed)]
    if found and not allowed:
        raise InputRefused(
            f"{'; '.join(found)}; measure what is missing, or judge the rest with --allow-missing"
        )
    for line in found:
        warn(f"allowed: {line}")


def _gone(measured: Results, earlier: Results) -> list[str]:
    """Return what only the baseline has: times, peak memory, pairs."""
    from cnn_export.benchmarks.results.setting import label_of
    from cnn_export.benchmarks.results.versions import gone, gone_memory, gone_pairs

    timed = gone(earlier.series, measured.series)
    lost = {id(each) for each in timed}
    peaks = gone_memory(earlier.series, measured.series)
    found = [label_of(each.artifact, each.setting) for each in timed]
    peak_labels = [label_of(each.artifact, each.setting) for each in peaks if id(each) not in lost]
    found += [f"memory of {label}" for label in peak_labels]
    for paired in gone_pairs(earlier.pairs, measured.pairs):
        label = label_of(paired.new.artifact, paired.new.setting)
        found.append(f"{label} interleaved with {paired.base.artifact.name}")
    return found


def _require_matched(verdict: Verdict, budget_file: Path, allowed: bool) -> None:
    from cnn_export.command_line.console import warn
    from cnn_export.errors import InputRefused

    if not verdict.judgements:
        raise InputRefused(f"{budget_file} judges nothing: {'; '.join(verdict.unmatched)}")
    if verdict.unmatched and not allowed:
        raise InputRefused(
            f"{budget_file}: {'; '.join(verdict.unmatched)}; "
            "correct the budgets, or leave this unjudged with --allow-unmatched"
        )
    for line in verdict.unmatched:
        warn(f"not judged: {line}")


def _write(
    candidates: Sequence[Candidate], verdict: Verdict, outputs: dict[str, Path | None]
) -> None:
    from cnn_export.atomic_commit import append_text, save_text
    from cnn_export.benchmarks.gate.outputs.bmf import as_bmf
    from cnn_export.benchmarks.gate.outputs.junit import as_junit
    from cnn_export.benchmarks.gate.outputs.markdown import as_markdown

    if junit := outputs["junit"]:
        save_text(junit, as_junit(verdict))
    if markdown := outputs["markdown"]:
        append_text(markdown, as_markdown(verdict))
    if bmf := outputs["bmf"]:
        save_text(bmf, as_bmf(candidates, verdict))


def _show(verdict: Verdict, as_json: bool) -> None:
    if as_json:
        from cnn_export.benchmarks.gate.outputs.document import as_json as document

        click.echo(document(verdict))
        return
    from cnn_export.benchmarks.gate.outputs.table import table_of
    from cnn_export.command_line.console import result_console

    result_console().print(table_of(verdict))


def _require_met(verdict: Verdict) -> None:
    from cnn_export.benchmarks.gate.outputs.wording import remark
    from cnn_export.errors import OverBudget, Undecided

    total = len(verdict.judgements)
    lacking = [each for each in verdict.judgements if each.shortfall is not None]
    told = "".join(f"; {remark(each)}" for each in lacking[:1])
    if verdict.status == "missed":
        raise OverBudget(f"{verdict.count('missed')} of {total} bounds are missed{told}")
    if verdict.status == "undecided":
        raise Undecided(
            f"{verdict.count('undecided')} of {total} bounds are undecided"
            f"{told or '; measure more repeats'}"
        )
