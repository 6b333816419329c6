"""Run a saved package: with the reference evaluator, or on macOS with Core ML itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cnn_export.errors import InputRefused
from cnn_export.program.tensors import Array, Tensors
from cnn_export.targets.coreml.evaluator import evaluate, refuse_unknown
from cnn_export.targets.coreml.program import MilProgram, ValueType
from cnn_export.targets.coreml.saved_program import read_program
from cnn_export.targets.coreml.vendor import coremltools, quiet

_PIXEL_MAX = 255


class EvaluatorSession:
    """The package's program in the reference evaluator.

    Raises:
        InputRefused: the package is damaged.
        OperatorRefused: the program holds an op that the evaluator does not know.
    """

    def __init__(self, package: Path) -> None:
        self._program = read_program(package)
        refuse_unknown(self._program)

    def __call__(self, inputs: Tensors) -> Tensors:
        """Return the outputs by name, in the program's order.

        Raises:
            InputRefused: a name, shape or dtype is not what the package declares.
        """
        tensors = accept_inputs(self._program, inputs)
        outputs = evaluate(self._program, tensors)
        return {name: value.numpy() for name, value in outputs.items()}


class RuntimeSession:
    """The package in Core ML, on macOS."""

    def __init__(self, package: Path) -> None:
        self._program = read_program(package)
        self._model: Any = coremltools().models.MLModel(str(package))

    def __call__(self, inputs: Tensors) -> Tensors:
        """Return the outputs by name, in the program's order.

        Raises:
            InputRefused: a name, shape or dtype is not what the package declares, or an image
                input holds something else than whole numbers from 0 to 255.
        """
        accept_inputs(self._program, inputs)
        images = self._program.pixel_inputs
        given = {n: picture(n, array) if n in images else array for n, array in inputs.items()}
        with quiet():
            predicted = self._model.predict(given)
        return {name: np.asarray(predicted[name]) for name in self._program.outputs}


def accept_inputs(program: MilProgram, inputs: Tensors) -> dict[str, torch.Tensor]:
    """Return the inputs as tensors of the declared dtypes.

    Raises:
        InputRefused: a name, shape or dtype is not what the package declares.
    """
    declared = [value.name for value in program.inputs]
    if set(inputs) != set(declared):
        raise InputRefused(f"the package takes {declared}, given are {sorted(inputs)}")
    for value in program.inputs:
        _check_shape(value, inputs[value.name], program.batch_range)
    return {value.name: _tensor(value, inputs[value.name]) for value in program.inputs}


def _check_shape(value: ValueType, array: Array, batch_range: tuple[int, int]) -> None:
    low, high = batch_range
    fits = array.ndim == len(value.shape) and all(
        (low <= actual <= high) if size == -1 else actual == size
        for size, actual in zip(value.shape, array.shape, strict=True)
    )
    if not fits:
        shape = tuple(f"{low}..{high}" if size == -1 else size for size in value.shape)
        raise InputRefused(f"input {value.name} has shape {array.shape}, the package takes {shape}")


def _tensor(value: ValueType, array: Array) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if tensor.dtype.is_floating_point != value.dtype.is_floating_point:
        raise InputRefused(f"input {value.name} is {array.dtype}, the package takes {value.dtype}")
    return tensor.to(value.dtype)


def picture(name: str, array: Array) -> Any:
    """Return a (1, C, H, W) array of pixels as the PIL image that Core ML takes.

    Raises:
        InputRefused: the array holds something else than whole numbers from 0 to 255.
    """
    from PIL import Image

    if not ((array == np.round(array)) & (array >= 0) & (array <= _PIXEL_MAX)).all():
        raise InputRefused(f"input {name} is an image: give whole numbers from 0 to {_PIXEL_MAX}")
    pixels = array[0].astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)
