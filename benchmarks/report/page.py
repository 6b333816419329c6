"""The page: which charts and tables stand on it, in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cnn_export.benchmarks.cost import ArtifactCost
from cnn_export.benchmarks.profiles.document import Profile
from cnn_export.benchmarks.report.distribution import distribution
from cnn_export.benchmarks.report.measured import Measured
from cnn_export.benchmarks.report.op_bars import cost_bars, time_bars
from cnn_export.benchmarks.report.ratios import ratios
from cnn_export.benchmarks.report.roofline import roofline
from cnn_export.benchmarks.report.scatter import against_mac_bytes, against_macs
from cnn_export.benchmarks.report.tables import (
    Table,
    artifact_table,
    budget_table,
    comparison_table,
    latency_table,
    profile_table,
    run_facts,
)
from cnn_export.benchmarks.report.timeline import timeline
from cnn_export.benchmarks.report.verdicts import BudgetRow

_TEMPLATE = "report.html.j2"
_Drawn = tuple[str, str] | None
"""A chart and the sentences below it."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """A drawing with its heading and caption; ``wide`` ones scroll sideways on a phone."""

    heading: str
    drawing: Markup
    caption: str
    wide: bool = False


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with a table, figures, or both; ``notes`` are sentences under the heading."""

    heading: str
    table: Table | None = None
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What the page is made from; all but ``measured`` may be left out."""

    measured: Measured
    title: str
    notes: tuple[str, ...] = ()
    budgets: tuple[BudgetRow, ...] | None = None
    profiles: tuple[Profile, ...] = ()
    costs: tuple[ArtifactCost, ...] = ()


def render(inputs: Inputs) -> str:
    """Return the HTML document. Every text of the inputs is escaped; nothing is loaded."""
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_read),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(
        title=inputs.title,
        facts=run_facts(inputs.measured),
        notes=inputs.notes,
        sections=[section for section in _sections(inputs) if section.table or section.figures],
        style=Markup(_read("style.css")),  # noqa: S704  (the package's own file)
    )


def _read(name: str) -> str:
    folder = resources.files("cnn_export.benchmarks.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _sections(inputs: Inputs) -> list[Section]:
    measured = inputs.measured
    return [
        Section("Budgets", budget_table(inputs.budgets)),
        Section("Latency", latency_table(measured)),
        Section("Artifacts", artifact_table(measured)),
        Section("Comparison", comparison_table(measured), _figures([("", ratios(measured.duels))])),
        Section("Distribution", figures=_distributions(measured)),
        Section("Over time", figures=_timelines(measured)),
        Section("Against cost", figures=_scatters(measured)),
        *map(_profile_section, inputs.profiles),
        *map(_cost_section, inputs.costs),
    ]


def _figures(drawn: Sequence[tuple[str, _Drawn]], *, wide: bool = False) -> tuple[Figure, ...]:
    # The drawings are element trees written as text, so every name in them is escaped.
    return tuple(
        Figure(heading, Markup(each[0]), each[1], wide)  # noqa: S704
        for heading, each in drawn
        if each is not None
    )


def _distributions(measured: Measured) -> tuple[Figure, ...]:
    return _figures(
        [
            (f"{one.number} · {one.artifact.name}, {_threads(one.threads)}", distribution(one))
            for one in measured.series
        ]
    )


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _timelines(measured: Measured) -> tuple[Figure, ...]:
    run_ids = dict.fromkeys(p.run_id for one in measured.series for p in one.processes)
    drawn = [(f"Run {run_id}", timeline(measured.series, run_id)) for run_id in run_ids]
    return _figures(drawn, wide=True)


def _scatters(measured: Measured) -> tuple[Figure, ...]:
    drawn = [
        ("Latency against multiply-accumulates", against_macs(measured.series)),
        ("Latency against memory access cost", against_mac_bytes(measured.series)),
    ]
    return _figures(drawn)


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
