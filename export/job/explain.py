"""``--explain``: the reparameterization report as text for a person, at most 100 columns wide.

Long lists are counted, not shown; the report in ``--json`` holds every place.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cnn_export.command_line.terminal import printable

if TYPE_CHECKING:
    from cnn_export.reparam import PassReport, Report
    from cnn_export.reparam.program_pass import Decision

COLUMNS = 100
_PLACES_SHOWN = 5
_REASONS_SHOWN = 4
_MILLION = 1e6
_NAME_COLUMNS = 48
_ROUNDS = "HalfPrecision"
"""The pass whose rounding its proof leaves out."""


def explanation(report: Report, title: str = "Reparameterization") -> str:
    """Return the whole text: verdict, cost before and after, passes, then what each one did."""
    blocks = [_verdict(report, title), *_costs(report), "", *_passes(report.passes)]
    for each in report.passes:
        told = [*_fired(each), *_refused(each), *_decided(each.decisions)]
        if told:
            blocks += ["", each.name, *told]
    return "\n".join(line for block in blocks for line in printable(block).split("\n"))


def legalization_explanations(reports: Mapping[str, Report]) -> list[str]:
    """Return what each target's own passes did, once for targets that share them."""
    sharing: dict[int, list[str]] = {}
    for name, report in reports.items():
        sharing.setdefault(id(report), []).append(name)
    return [
        _legalization(reports[names[0]], f"Legalization for {', '.join(names)}")
        for names in sharing.values()
    ]


def _legalization(report: Report, title: str) -> str:
    if report.modified or any(each.refusals or each.decisions for each in report.passes):
        return explanation(report, title)
    return f"{title}: nothing to change"


def _verdict(report: Report, title: str) -> str:
    rounds = f"{report.rounds} round{'s' if report.rounds > 1 else ''}"
    if report.proof is None:
        return f"{title}: {rounds}, not proven\n"
    error, limit = report.proof.relative_error, report.proof.tolerance
    rounded = any(each.name == _ROUNDS and each.rewrites for each in report.passes)
    but = ", but for rounding to float16" if rounded else ""
    return f"{title}: {rounds}, error {error:.1e} of RMS in float64{but} (limit {limit:.0e})\n"


def _costs(report: Report) -> list[str]:
    rows = [("", "before", "after", "change")]
    before, after = vars(report.before), vars(report.after)
    for name, old in before.items():
        rows.append((_title(name), f"{old:,}", f"{after[name]:,}", _change(old, after[name])))
    return _aligned(rows)


def _title(name: str) -> str:
    return {"ops": "operators", "macs": "MACs"}.get(name, name.replace("_", " "))


def _change(old: float, new: float) -> str:
    return f"{100 * (new - old) / old:+.1f} %" if old and new != old else "="


def _passes(passes: Sequence[PassReport]) -> list[str]:
    rows: list[Sequence[str]] = [("pass", "fired", "refused", "weighed: taken", "kept")]
    for each in passes:
        taken = sum(decision.taken for decision in each.decisions)
        weighed = (str(taken), str(len(each.decisions) - taken)) if each.decisions else ("", "")
        rows.append((each.name, str(len(each.rewrites)), str(len(each.refusals)), *weighed))
    if not any(each.decisions for each in passes):
        rows = [row[:3] for row in rows]
    return _aligned(rows)


def _fired(each: PassReport) -> list[str]:
    return _folded(f"fired at {_places(each.rewrites)}") if each.rewrites else []


def _refused(each: PassReport) -> list[str]:
    kept = {(decision.node, decision.reason) for decision in each.decisions}
    places = [(refusal.node, refusal.reason) for refusal in each.refusals]
    return _reasons("refused", [place for place in places if place not in kept])


def _reasons(verb: str, places: Sequence[tuple[str, str]]) -> list[str]:
    """Tell one line per kind of reason; node numbers do not make another kind."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for node, reason in places:
        kinds.setdefault(re.sub(r"\d+", "#", reason), []).append((node, reason))
    lines: list[str] = []
    for alike in list(kinds.values())[:_REASONS_SHOWN]:
        same = len({reason for _, reason in alike}) == 1
        likewise = "" if same else " (the first; the others likewise)"
        at = _places([node for node, _ in alike])
        lines += _folded(f"{verb} at {at}: {alike[0][1]}{likewise}")
    more = len(kinds) - _REASONS_SHOWN
    return [*lines, f"  and {more} more reasons"] if more > 0 else lines


def _decided(decisions: Sequence[Decision]) -> list[str]:
    """Tell what was weighed: figures of the largest regions, and why a form was kept."""
    lines: list[str] = []
    for taken in (True, False):
        chosen = [each for each in decisions if each.taken is taken]
        if chosen:
            lines += _weighed("taken" if taken else "kept", chosen)
    return lines


def _weighed(verb: str, chosen: Sequence[Decision]) -> list[str]:
    largest = sorted(chosen, key=lambda each: -each.before.macs)[:_PLACES_SHOWN]
    rows: list[Sequence[str]] = [
        (f"{verb}: {len(chosen)}", "M MACs", "merged", "MB moved", "merged")
    ]
    rows += [_row(each.node, [each]) for each in largest]
    if len(chosen) > len(largest):
        rows.append((f"and {len(chosen) - len(largest)} more", *[""] * 4))
    if len(chosen) > 1:
        rows.append(_row("together", chosen))
    lines = [f"  {line}" for line in _aligned(rows)]
    return lines + _reasons(verb, [(each.node, each.reason) for each in chosen if each.reason])


def _row(name: str, decisions: Sequence[Decision]) -> tuple[str, ...]:
    both = [[getattr(each, side) for each in decisions] for side in ("before", "after")]
    macs = [f"{sum(each.macs for each in side) / _MILLION:,.2f}" for side in both]
    moved = [f"{sum(each.bytes for each in side) / _MILLION:,.2f}" for side in both]
    return (name[:_NAME_COLUMNS], *macs, *moved)


def _places(names: Sequence[str]) -> str:
    more = len(names) - _PLACES_SHOWN
    shown = ", ".join(names[:_PLACES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def _folded(text: str) -> list[str]:
    return textwrap.wrap(
        text, COLUMNS, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
