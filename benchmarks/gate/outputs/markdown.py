"""The gate as Markdown, for a job's summary or a pull request."""

from __future__ import annotations

import html
import re

from cnn_export.benchmarks.gate.judge import STATUSES, Judgement, Verdict
from cnn_export.benchmarks.gate.outputs.table import totals
from cnn_export.benchmarks.gate.outputs.wording import limit_text, measured_text, remark
from cnn_export.command_line.terminal import printable

_SIGNS = {"met": "✅", "missed": "❌", "undecided": "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~@:$])")


def as_markdown(verdict: Verdict) -> str:
    """Return a heading, the table with the worst rows first, and what did not match."""
    lines = [f"### {_SIGNS[verdict.status]} cnn-bench gate: {totals(verdict)}", ""]
    if verdict.judgements:
        lines += [
            "| | artifact | bound | limit | measured | remark |",
            "|---|---|---|---:|---:|---|",
        ]
    ordered = sorted(verdict.judgements, key=lambda each: STATUSES.index(each.status))
    lines += [_row(judgement) for judgement in ordered]
    if verdict.unmatched:
        lines += ["", "Not judged:", "", *(f"- {escaped(line)}" for line in verdict.unmatched)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return untrusted ``text`` on one line, without meaning to Markdown or HTML."""
    line = " ".join(printable(text).split())
    return _SPECIAL.sub(r"\\\1", html.escape(line, quote=False))


def _row(judgement: Judgement) -> str:
    cells = (
        f"{_SIGNS[judgement.status]} {judgement.status}",
        escaped(judgement.candidate.label),
        f"`{judgement.bound}`",
        limit_text(judgement),
        measured_text(judgement),
        escaped(remark(judgement)),
    )
    return f"| {' | '.join(cells)} |"
