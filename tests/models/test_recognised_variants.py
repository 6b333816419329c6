"""Every published variant is recognised by its tensors' names and shapes, and by one family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from cnn_export.models.published import Published
from cnn_export.models.registry import Architecture, Shapes, architectures

ROWS = [(a, row) for a in architectures().values() for row in a.published]
_LEFT_OUT = 12
IDS = [f"{a.name} {dict(row.arguments)}" for a, row in ROWS]


def shapes_of(architecture: Architecture, arguments: Mapping[str, Any]) -> Shapes:
    with torch.device("meta"):
        network = architecture.build(**arguments)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("architecture", "row"), ROWS, ids=IDS)
def test_a_published_variant_is_recognised(architecture: Architecture, row: Published) -> None:
    shapes = shapes_of(architecture, {**row.arguments, "classes": 7, "in_channels": 2})
    found = architecture.detect(shapes)
    assert found is not None
    shown = {n: value for n, value in row.arguments.items() if n not in architecture.unrecorded}
    assert {name: found[name] for name in shown} == shown
    assert shapes_of(architecture, found) == shapes
    others = [a.name for a in architectures().values() if a is not architecture]
    assert [name for name in others if architectures()[name].detect(shapes) is not None] == []


@pytest.mark.parametrize("name", sorted(architectures()))
def test_a_file_without_one_tensor_names_no_other_network(name: str) -> None:
    architecture = architectures()[name]
    whole = shapes_of(architecture, {})
    for missing in list(whole)[:: max(1, len(whole) // _LEFT_OUT)]:
        less = {tensor: shape for tensor, shape in whole.items() if tensor != missing}
        found = [a.name for a in architectures().values() if a.detect(less) is not None]
        assert set(found) <= {name}, missing
