"""Evaluate one-op MIL programs from disk and compare them with their reference in float64.

A case is a pair: ``build`` makes the op's output with coremltools' own builder, ``reference``
computes the expected value with torch. Both take the arrays of ``INPUTS`` that the parameters of
``build`` name. All cases of a test file share one package, since conversion is what costs time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cnn_export.targets.coreml.package import write_package
from cnn_export.targets.coreml.session import EvaluatorSession
from cnn_export.targets.coreml.vendor import coremltools, quiet

Array = npt.NDArray[Any]
Case = tuple[Callable[..., Any], Callable[..., Any]]
Cases = Mapping[str, Case]

ct = coremltools()
mb: Any = ct.converters.mil.Builder
_mil: Any = ct.converters.mil.mil


def normal(*shape: int, seed: int) -> Array:
    """Return standard normal float32 values that depend on shape and seed alone."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


X = normal(2, 6, 7, 5, seed=7)  # odd, not square
CHANNEL = normal(6, seed=1)
"""One value per channel of X, of either sign."""
VARIANCE = np.abs(normal(6, seed=2)) + np.float32(0.5)
"""One value per channel of X, well above zero."""

_POSITIVE = np.abs(X) + np.float32(0.1)

INPUTS: dict[str, Array] = {
    "x": X,
    "y": _POSITIVE[:, :1],  # broadcasts
    "unit": np.tanh(X) * np.float32(0.9),
    "positive": _POSITIVE,
    "whole": np.round(X),  # so that equal elements occur
    "other": np.round(normal(2, 6, 7, 5, seed=3)),
    "image": normal(1, 8, 6, 4, seed=4),
    "matrix": normal(3, 4, seed=5),
    "left": normal(2, 3, 4, seed=6),
    "right": normal(2, 5, 4, seed=8),
    "swapped": normal(2, 4, 3, seed=9),
    "query": normal(2, 3, 4, 5, seed=10),
    "key": normal(2, 5, 4, 6, seed=11),
    "classes": np.array([2, 0, 1], np.int32),
    "sizes": np.array([2, 3], np.int32),
    "limit": np.array([9], np.int32),
}


def t(array: Any) -> torch.Tensor:
    """Return the array as a tensor, in float64 unless it holds integers."""
    tensor = torch.from_numpy(np.asarray(array))
    return tensor.double() if tensor.dtype.is_floating_point else tensor


def column(values: Array) -> torch.Tensor:
    """Return one value per channel in the shape (C, 1, 1) that broadcasts over (N, C, H, W)."""
    return t(values).reshape(-1, 1, 1)


def evaluate_cases(
    cases: Cases, package: Path, target: Any = ct.target.iOS16
) -> dict[str, list[Array]]:
    """Write every case into one package and return the evaluated outputs by case."""
    names = sorted({name for build, _ in cases.values() for name in _arguments(build)})
    inputs = {name: INPUTS[name] for name in names}
    with quiet():
        program, counts = _program(cases, inputs, target)
        _save(program, target, package)
    values = iter(EvaluatorSession(package)(inputs).values())
    results = {name: [next(values) for _ in range(count)] for name, count in counts.items()}
    assert next(values, None) is None, "the package has more outputs than its cases"
    return results


def check_case(case: Case, got: Sequence[Array]) -> None:
    """Compare the outputs of a case with its reference: number, shapes and values."""
    build, reference = case
    expected = reference(*(t(INPUTS[name]) for name in _arguments(build)))
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    assert len(got) == len(expected)
    for actual, wanted in zip(got, expected, strict=True):
        assert actual.shape == tuple(wanted.shape)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=3e-5, atol=3e-5)


def _arguments(build: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(build).parameters)


def _program(cases: Cases, inputs: Mapping[str, Array], target: Any) -> tuple[Any, dict[str, int]]:
    """Return the program of all cases, and how many outputs each case has."""
    counts: dict[str, int] = {}
    outputs: list[Any] = []
    specs = {name: _spec(array) for name, array in inputs.items()}
    with _mil.Function(specs, target) as function:
        for name, (build, _) in cases.items():
            made = build(*(function.inputs[argument] for argument in _arguments(build)))
            made = list(made) if isinstance(made, (list, tuple)) else [made]
            counts[name] = len(made)
            outputs += [mb.identity(x=value) for value in made]
        function.set_outputs(outputs)
    program = _mil.Program()
    program.add_function("main", function)
    return program, counts


def _spec(array: Array) -> Any:
    dtypes = {"float32": _mil.types.fp32, "int32": _mil.types.int32}
    return mb.TensorSpec(shape=array.shape, dtype=dtypes[str(array.dtype)])


def _save(program: Any, target: Any, path: Path) -> None:
    """Write the package of the program as built: no pass may replace the op under test."""
    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    write_package(model.get_spec(), Path(model.weights_dir), path)
