"""A batch left open while a network is traced: what is marked, and why a network has no such."""

from __future__ import annotations

import inspect
import re
from typing import Any

from torch import nn
from torch.export import Dim

_VIOLATED = "Constraints violated"
_GUARD = re.compile(r"satisfy the generated guard (.*?)\.?$", re.MULTILINE)
_BATCH = re.compile(r"L(\[[^]]*\])+\.size\(\)\[0\]")
"""How torch spells the batch: size 0 of an input, or of one of ``*xs``."""


def batch_shapes(module: nn.Module, count: int, batch: Dim) -> tuple[Any, ...]:
    """Return ``dynamic_shapes`` of ``torch.export``: size 0 of all ``count`` inputs is the batch.

    Those that ``forward`` takes as ``*xs`` are one entry, a tuple.
    """
    marks = tuple({0: batch} for _ in range(count))
    kinds = [each.kind for each in inspect.signature(module.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return marks
    named = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return marks if count <= named else (*marks[:named], marks[named:])


def batch_obstacle(error: BaseException) -> str | None:
    """Return why ``torch.export`` could not leave the batch open; ``None`` for other errors."""
    text = str(error)
    if not text.startswith(_VIOLATED):
        return None
    guard = _GUARD.search(text)
    if guard is None:
        return "it makes a constant of the batch, as int(x.shape[0]) does"
    return f"it holds only where {_BATCH.sub('batch', guard[1])}"
