"""The page: which charts and tables stand on it, in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.profiles.document import Profile
from cnn_export.benchmarks.report.charts.distribution import distribution
from cnn_export.benchmarks.report.charts.op_bars import cost_bars, time_bars
from cnn_export.benchmarks.report.charts.ratios import ratios
from cnn_export.benchmarks.report.charts.roofline import roofline
from cnn_export.benchmarks.report.charts.scatter import against_mac_bytes, against_macs
from cnn_export.benchmarks.report.charts.svg import COLOURS
from cnn_export.benchmarks.report.charts.timeline import timeline
from cnn_export.benchmarks.report.judging import BudgetRow
from cnn_export.benchmarks.report.numbered import Numbered, Shown
from cnn_export.benchmarks.report.tables import (
    Table,
    artifact_table,
    budget_table,
    comparison_table,
    latency_table,
    profile_table,
    run_facts,
)
from cnn_export.command_line.terminal import printable

_TEMPLATE = "report.html.j2"
_Drawn = tuple[str, str] | None
"""A chart and the sentences below it."""


@dataclasses.dataclass(frozen=True)
class LegendEntry:
    """What is drawn in ``colour``, a number of the style sheet."""

    colour: int
    text: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """A drawing with its heading and caption; ``wide`` ones scroll sideways on a phone."""

    heading: str
    drawing: Markup
    caption: str
    wide: bool = False
    legend: tuple[LegendEntry, ...] = ()


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with a table, figures, or both; ``notes`` are sentences under the heading."""

    heading: str
    table: Table | None = None
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the page is made from; all but ``shown`` may be left out."""

    shown: Shown
    title: str
    notes: tuple[str, ...] = ()
    budgets: tuple[BudgetRow, ...] | None = None
    profiles: tuple[Profile, ...] = ()
    costs: tuple[ArtifactCost, ...] = ()
    opinions: Table | None = None
    traffic: Table | None = None


def render(inputs: Inputs) -> str:
    """Return the HTML document. Every text of the inputs is escaped; nothing is loaded."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_read),
        undefined=StrictUndefined,
        finalize=_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=inputs.title,
        facts=run_facts(inputs.shown),
        notes=inputs.notes,
        sections=[section for section in _sections(inputs) if section.table or section.figures],
        style=Markup(_read("style.css")),  # noqa: S704  (the package's own file)
    )


def _text(value: object) -> object:
    """Write out control characters and changes of direction: they would hide what a name is."""
    return value if isinstance(value, Markup) else printable(str(value))


def _read(name: str) -> str:
    folder = resources.files("cnn_export.benchmarks.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _sections(inputs: Inputs) -> list[Section]:
    shown = inputs.shown
    return [
        Section("Budgets", budget_table(inputs.budgets)),
        Section("Latency", latency_table(shown)),
        Section("Artifacts", artifact_table(shown)),
        Section("Comparison", comparison_table(shown), _figures([("", ratios(shown.pairs))])),
        Section("Distribution", figures=_distributions(shown)),
        Section("Over time", figures=_timelines(shown)),
        Section("Against cost", figures=_scatters(shown)),
        Section("Cross-check", inputs.opinions),
        Section("Memory traffic", inputs.traffic),
        *map(_profile_section, inputs.profiles),
        *map(_cost_section, inputs.costs),
    ]


def _figures(
    drawn: Sequence[tuple[str, _Drawn]],
    legend: tuple[LegendEntry, ...] = (),
    *,
    wide: bool = False,
) -> tuple[Figure, ...]:
    # The drawings are element trees written as text, so every name in them is escaped.
    return tuple(
        Figure(heading, Markup(each[0]), each[1], wide, legend)  # noqa: S704
        for heading, each in drawn
        if each is not None
    )


def _distributions(shown: Shown) -> tuple[Figure, ...]:
    drawn = [(_named(one), distribution(one)) for one in shown.series]
    for pair in shown.pairs:
        drawn += [
            (f"{_named(one)}, interleaved with {other.name}", distribution(one))
            for one, other in ((pair.base, pair.new), (pair.new, pair.base))
        ]
    return _figures(drawn)


def _named(one: Numbered) -> str:
    return f"{one.number} · {one.name}, {one.threads}"


def _timelines(shown: Shown) -> tuple[Figure, ...]:
    of_runs = [
        (run.run_id, [one for one in shown.series if one.series.is_timed_in(run.run_id)])
        for run in shown.runs
    ]
    return tuple(
        figure
        for run_id, series in of_runs
        if series
        for figure in _figures(
            [(f"Run {run_id}", timeline(series, run_id))], _legend(series), wide=True
        )
    )


def _legend(series: Sequence[Numbered]) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(one.number % COLOURS, f"{one.number} {one.name}, {one.threads}")
        for one in series
    )


def _scatters(shown: Shown) -> tuple[Figure, ...]:
    drawn = [
        ("Latency against multiply-accumulates", against_macs(shown.series)),
        ("Latency against memory access cost", against_mac_bytes(shown.series)),
    ]
    return _figures(drawn, _legend(shown.series))


def _profile_section(profile: Profile) -> Section:
    return Section(
        f"Operators of {profile.artifact} ({profile.runtime} {profile.runtime_version})",
        profile_table(profile),
        _figures([("Time", time_bars(profile)), ("Roofline", roofline(profile))]),
        tuple(profile.notes),
    )


def _cost_section(cost: ArtifactCost) -> Section:
    drawn = [
        ("Multiply-accumulates", cost_bars(cost, "macs")),
        ("Memory access cost", cost_bars(cost, "mac_bytes")),
    ]
    notes = ()
    if cost.unknown_ops:
        notes = (f"Multiply-accumulates not known: {', '.join(cost.unknown_ops)}.",)
    return Section(f"Cost of {cost.name} from the file", figures=_figures(drawn), notes=notes)
