"""Record what official code computes: ``record(NAME, module, repository, input_shape)``.

Run by whoever has that code at hand; the code itself is never part of this repository.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import official_files
import torch
from torch import nn

_LOGITS = 16


def record(
    name: str,
    network: nn.Module,
    repository: str,
    input_shape: tuple[int, ...],
    rename: Callable[[str], str] = str,
) -> None:
    """Fill ``network``, the official module, strictly with the listed tensors, and write outputs.

    ``repository`` is owner/name@commit. ``rename`` maps the file's names to the module's where the
    official loading code does (a ``module.`` prefix, say).
    """
    shapes = official_files.keys(name).tensors
    named = {rename(k): v for k, v in official_files.trained_like(shapes).items()}
    missing, unexpected = network.load_state_dict(named, strict=False)
    counters = [k for k in missing if k.endswith("num_batches_tracked")]
    if unexpected or len(counters) != len(missing):
        raise ValueError(f"{name}: missing {missing[:5]}, unexpected {unexpected[:5]}")
    with torch.inference_mode():
        logits = network.double().eval()(official_files.image(input_shape)).flatten()
    written = {
        "repository": repository,
        "input_shape": list(input_shape),
        "logits": logits[:_LOGITS].tolist(),
        "norm": float(logits.norm()),
    }
    file = official_files.FOLDER / "outputs" / f"{name}.json"
    file.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
