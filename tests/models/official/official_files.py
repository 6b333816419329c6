"""Checkpoints as the authors save them, with weights that anyone can make again.

``keys/NAME.json`` lists a checkpoint's tensors as the authors' code names them.
``outputs/NAME.json`` holds what that code computes with :func:`trained_like` weights, in float64:
independent truth that needs neither the code nor the weights here.
``python official_files.py FOLDER`` writes them all.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Keys:
    """The tensors of one official file, where they stand in it, and what stands beside them."""

    file: str
    container: tuple[str, ...]
    other_top_keys: tuple[str, ...]
    counters: bool
    tensors: dict[str, Shape]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The first values of the logits that ``repository``'s code gave for :func:`image`."""

    repository: str
    input_shape: Shape
    logits: list[float]
    norm: float


def keys(name: str) -> Keys:
    """Read one list of tensors."""
    read: dict[str, Any] = json.loads((FOLDER / "keys" / f"{name}.json").read_text("utf-8"))
    shapes = {tensor: tuple(shape) for tensor, shape in read.pop("tensors").items()}
    lists = {key: tuple(read.pop(key)) for key in ("container", "other_top_keys")}
    return Keys(tensors=shapes, **lists, **read)


def outputs(name: str) -> Outputs:
    """Read what the official code gave."""
    read: dict[str, Any] = json.loads((FOLDER / "outputs" / f"{name}.json").read_text("utf-8"))
    return Outputs(input_shape=tuple(read.pop("input_shape")), **read)


def names_with_outputs() -> list[str]:
    """Return every checkpoint that the official code was run on."""
    return sorted(file.stem for file in (FOLDER / "outputs").glob("*.json"))


def trained_like(shapes: dict[str, Shape]) -> dict[str, torch.Tensor]:
    """Return float32 tensors: kernels of variance 2/fan-in, batch norms that are never identity.

    Each depends on its name and shape only.
    """
    return {name: _values(name, shape) for name, shape in shapes.items()}


def _values(name: str, shape: Shape) -> torch.Tensor:
    normal = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        drawn = np.exp(0.3 * normal)
    elif len(shape) >= 2:
        drawn = normal * (2 / np.prod(shape[1:])) ** 0.5
    elif name.endswith("weight"):
        drawn = 1 + 0.2 * normal
    else:
        drawn = 0.1 * normal
    return torch.from_numpy(np.asarray(drawn, np.float32))


def image(shape: Shape) -> torch.Tensor:
    """Return the float64 input, (N, C, H, W), of the recorded outputs."""
    return torch.from_numpy(np.random.default_rng(13).standard_normal(shape))


def write_checkpoint(name: str, folder: Path) -> Path:
    """Write the file as its authors save it: their container, their names."""
    listed = keys(name)
    tensors = trained_like(listed.tensors)
    if listed.counters:
        tensors = dict(_with_counters(tensors))
    content: Any = tensors
    for key in reversed(listed.container):
        content = {key: content}
    if listed.other_top_keys:
        content |= dict.fromkeys(listed.other_top_keys, 0)
    path = folder / listed.file
    torch.save(content, path)
    return path


def _with_counters(tensors: dict[str, torch.Tensor]) -> Iterable[tuple[str, torch.Tensor]]:
    for name, tensor in tensors.items():
        yield name, tensor
        if name.endswith("running_var"):
            yield name.removesuffix("running_var") + "num_batches_tracked", torch.tensor(1000)


def main(folder: Path) -> None:
    """Write every listed checkpoint, each in a folder of its name."""
    for file in sorted((FOLDER / "keys").glob("*.json")):
        inside = folder / file.stem
        inside.mkdir(parents=True, exist_ok=True)
        sys.stdout.write(f"{write_checkpoint(file.stem, inside)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
