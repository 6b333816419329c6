"""Every published variant has the parameters and multiply-accumulates that its authors state."""

from __future__ import annotations

import pytest
from torch import nn

from cnn_export.models.listing.figures import Figures, deviations, figures
from cnn_export.models.published import Published
from cnn_export.models.registry import Architecture, architectures
from cnn_export.source.networks.listed_models import listed_models

WRITE_AGAIN = "run python -m cnn_export.benchmarks.studies.recognition.list_of_models"
ROWS = [(a, row) for a in architectures().values() for row in a.published]


@pytest.mark.parametrize(("architecture", "row"), ROWS, ids=[row.name for _, row in ROWS])
def test_figures_are_the_published_ones(architecture: Architecture, row: Published) -> None:
    """Within 1 %, or the row's note says why not; the list of models has what is measured."""
    measured = figures(architecture.build, row.arguments, row.input_size)
    stored = {each.name: each for each in listed_models()}.get(row.name)
    counts = stored and (stored.params_m, stored.macs_m)
    assert counts == (measured.params / 1e6, measured.macs / 1e6), WRITE_AGAIN
    assert bool(deviations(measured, row)) is bool(row.note), "a note says why, where it differs"


def test_names_are_unique() -> None:
    assert len({row.name for _, row in ROWS}) == len(ROWS)


def _two_layers(channels: int) -> nn.Module:
    conv = nn.Conv2d(3, channels, 3, stride=2, padding=1, groups=1)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.Flatten(), nn.LazyLinear(7))


def test_counting() -> None:
    """8·3·9 weights with bias at 6×5 places, batch norm's 16, and a matrix of 240×7."""
    counted = figures(_two_layers, {"channels": 8}, (3, 11, 9))
    assert counted == Figures(8 * 27 + 8 + 16 + 240 * 7 + 7, 30 * 8 * 27 + 240 * 7)


@pytest.mark.parametrize(
    ("stated", "differs"), [(142, False), (141, True), (0.14e3, True), (1e2, True)]
)
def test_more_than_a_percent_differs(stated: float, differs: bool) -> None:
    row = Published("one", {}, "nowhere", params_m=5.1, macs_m=stated)
    assert bool(deviations(Figures(5_149_000, 142_600_000), row)) is differs


def test_what_differs_is_said() -> None:
    row = Published("one", {}, "nowhere", params_m=5.1, macs_m=142)
    (said,) = deviations(Figures(5_400_000, 142_000_000), row)
    assert said == "parameters 5.4 M against 5.1 M"
