"""A network that names float32 itself is known exactly: its float64 run is float64 throughout."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import seeded
from torch import nn

import cnn_export
from cnn_export.errors import InputRefused
from cnn_export.job.legalization import reparameterize
from cnn_export.program.program import capture
from cnn_export.proof.double_precision import double_copy, doubled
from cnn_export.proof.parity import references
from cnn_export.proof.probes import Probe
from cnn_export.reparam.graph.copies import float64_copy
from cnn_export.reparam.proof.probe import run

X = torch.randn(1, 3, 7, 10, generator=torch.Generator().manual_seed(0))


class Named(nn.Module):
    """A normalized convolution, and a function of it that names float32."""

    def __init__(self, function) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.grid = torch.linspace(0.1, 0.7, 10)  # neither parameter nor buffer
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, self.body(x))


FUNCTIONS = {
    "float": lambda _, y: y.float(),
    "to_dtype": lambda _, y: torch.tanh(y.to(torch.float32)) * 3,
    "softmax": lambda _, y: torch.softmax(y, 1, dtype=torch.float32),
    "mask": lambda _, y: y.argmax(1).float(),
    "classes": lambda _, y: y.argmax(1),
    "sum": lambda _, y: y.sum((2, 3), dtype=torch.float32),
    "zeros": lambda _, y: y + torch.zeros(6, 1, 1, dtype=torch.float32) + torch.ones(10) / 7,
    "literal": lambda _, y: y * torch.tensor(0.1) + torch.tensor([0.3], dtype=torch.float32),
    "range": lambda _, y: y * torch.arange(10) / 7 + torch.linspace(0, 1, 10),
    "attribute": lambda self, y: y + self.grid.float(),
    "finfo": lambda _, y: y / (y.abs() + 1e4 * torch.finfo(y.dtype).eps),
    "branch": lambda _, y: y * 2 if y.dtype == torch.float32 else y * 3,
    "weight_dtype": lambda self, y: y.to(self.body[0].weight.dtype).sigmoid(),
    "written": lambda _, y: torch.zeros_like(y, dtype=torch.float32).copy_(y).add_(0.5),
}


def network(name: str) -> nn.Module:
    torch.manual_seed(1)
    return seeded(Named(FUNCTIONS[name]))


def in_double(module: nn.Module) -> torch.Tensor:
    double = double_copy(module)
    with torch.no_grad(), doubled():
        return double(X.double())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_float64_run_is_the_traced_graph_in_float64(name: str) -> None:
    """Independent: torch.export's graph, its dtypes replaced, run by the interpreter."""
    module = network(name)
    graph_module = float64_copy(capture(module, (X,)).graph_module, torch.float32)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        (expected,) = run(graph_module, (X.double(),))
    finally:
        torch.set_default_dtype(before)
    actual = in_double(module)
    assert actual.dtype == expected.dtype
    assert actual.dtype in (torch.float64, torch.int64)
    error = (actual.double() - expected.double()).abs().max()
    assert error <= 1e-12 * expected.abs().max()
    # ... and it is the network's own function, to float32's rounding.
    with torch.no_grad():
        assert torch.allclose(actual.double(), module(X).double(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_such_networks_are_proven(name: str) -> None:
    module = network(name)
    program = capture(module, (X,))
    expected = references(module, [Probe("normal", {"x": X.numpy()})], program.outputs)
    report = reparameterize(program, expected)
    assert report.proof is not None
    assert report.proof.probes == 1
    assert report.proof.relative_error <= 1e-12
    assert "FoldAffineIntoProducer" in [each.name for each in report.passes if each.rewrites]


@pytest.mark.parametrize("name", ["float", "softmax", "mask"])
def test_such_networks_are_exported(name: str, tmp_path: Path) -> None:
    result = cnn_export.export(network(name), "onnx", example_inputs=(X,), output=str(tmp_path))
    assert result.artifact.manifest.parity.reference.endswith("float64")


def test_a_reference_of_another_dtype_is_told_as_that() -> None:
    """Not as rounding, and not as the fault of a pass."""
    module = network("float")
    program = capture(module, (X,))
    (right,) = references(module, [Probe("normal", {"x": X.numpy()})], program.outputs)
    single = {name: value.astype(np.float32) for name, value in right.outputs.items()}
    with pytest.raises(
        InputRefused, match=r"output 0 is float64\[1, 6, 7, 10\] in place of float32"
    ):
        reparameterize(program, [dataclasses.replace(right, outputs=single)])


def test_a_reference_of_another_function_is_told_as_that() -> None:
    module = network("float")
    program = capture(module, (X,))
    (right,) = references(module, [Probe("normal", {"x": X.numpy()})], program.outputs)
    other = {name: value * (1 + 1e-4) for name, value in right.outputs.items()}
    with pytest.raises(InputRefused, match=r"off by 0\.0\d+ of its own traced graph"):
        reparameterize(program, [dataclasses.replace(right, outputs=other)])


def test_a_half_precision_island_keeps_its_rounding() -> None:
    module = network("float")
    module.function = lambda _, y: y.half().float()
    actual = in_double(module)
    assert torch.equal(actual, actual.half().double())
    assert actual.dtype == torch.float64


def test_the_network_and_the_defaults_stay_as_they_are() -> None:
    module = network("attribute")
    state = {name: value.clone() for name, value in module.state_dict().items()}
    grid = module.grid.clone()
    in_double(module)
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(module.grid, grid)
    for name, value in module.state_dict().items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name])


def test_what_runs_in_float32_only_says_so() -> None:
    module = network("float")

    def refuse_float64(_, y):
        if y.element_size() == 8:
            raise RuntimeError("float32 only")
        return y

    module.function = refuse_float64
    probe = Probe("normal", {"x": X.numpy()})
    (reference,) = references(module, [probe], capture(module, (X,)).outputs)
    assert reference.dtype == "float32"
    assert set(reference.float32_floor.values()) == {0.0}
    assert np.isfinite(reference.outputs["output"]).all()
