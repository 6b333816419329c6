"""The list of models is what the tables say, and a name of it builds and loads the network."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export import models
from cnn_export.benchmarks.studies.recognition.list_of_models import (
    README,
    list_of_models,
    readme_with,
    table,
)
from cnn_export.errors import UsageError
from cnn_export.models.listing.figures import Figures
from cnn_export.models.published import Published
from cnn_export.source import known_models
from cnn_export.source.networks.listed_models import as_json, as_text, listed_models
from cnn_export.source.networks.model_names import parse_source

AGAIN = "run python -m cnn_export.benchmarks.studies.recognition.list_of_models"


def _stored(_: object, row: Published) -> Figures:
    """The counts of the file, which ``test_published.py`` holds against the networks."""
    found = {each.name: each for each in listed_models()}.get(row.name)
    assert found is not None, AGAIN
    return Figures(round((found.params_m or 0) * 1e6), round((found.macs_m or 0) * 1e6))


def test_the_file_is_what_the_tables_say() -> None:
    assert list_of_models(_stored) == list(listed_models()), AGAIN


def test_the_readme_s_table_is_what_the_tables_say() -> None:
    assert readme_with(table(_stored)) == README.read_text("utf-8"), AGAIN


def test_every_name_that_is_known_is_listed() -> None:
    assert {row.model for row in listed_models()} == set(known_models())


def test_what_is_shown() -> None:
    lines = as_text().splitlines()
    (shown,) = (line for line in lines if line.startswith("SkipNet-M "))
    assert shown.split() == [
        *("SkipNet-M", "skipnet", "5.53", "M", "237", "M", "3x224x224", "76.20", "%", "arXiv"),
        *("2107.11170;", "figures", "in", "lusinlu/bias-loss-skipblocknet"),
    ]
    assert len(lines) == len(listed_models()) + 1
    assert [row["name"] for row in json.loads(as_json())] == [r.name for r in listed_models()]


def test_json_of_the_command_line() -> None:
    program = "from cnn_export.__main__ import main; main(['--list-models', '--json'])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert json.loads(told.stdout) == json.loads(as_json())


@pytest.mark.parametrize(
    ("name", "arguments", "classes"),
    [("mobilenext", {"width": 0.35, "classes": 7}, 7), ("squeezenet1_1", {"num_classes": 3}, 3)],
)
def test_create(name: str, arguments: dict[str, Any], classes: int) -> None:
    with torch.inference_mode():
        assert (
            models.create(name, **arguments).eval()(torch.zeros(1, 3, 64, 64)).shape[1] == classes
        )


def test_create_a_published_variant() -> None:
    with torch.device("meta"):
        network = models.create("MobileNeXt-0.50", classes=7)
    sizes = [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]
    assert sizes == [7]
    assert sum(p.numel() for p in network.parameters()) == 2_152_304 - 993 * 1281


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("MobileNext-0.5", {}, "Did you mean 'MobileNeXt-0.75' or 'MobileNeXt-0.50'"),
        ("mobilenext", {"width": -1}, "mobilenext cannot be built: the width multiplier must be"),
        ("mobilenext", {"depth": 3}, "unexpected keyword argument 'depth'; check its arguments"),
    ],
)
def test_create_says_what_is_wrong(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        models.create(name, **arguments)


def test_a_published_variant_may_be_named() -> None:
    candidate = parse_source("MobileNeXt-0.50").resolve({})
    assert (candidate.label, candidate.arguments["width"]) == ("mobilenext", 0.5)
    with pytest.raises(UsageError, match="Did you mean 'RepVGG-A0'"):
        parse_source("RepVGG_A0")
