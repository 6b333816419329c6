"""Name the operators a converter cannot take, with the source line that made them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import fx
from torch._ops import OpOverload

from cnn_export.program.source_lines import source_line
from cnn_export.targets.base import OpRefusal

_DUMP = re.compile(
    r"m?hlo\b|m?hlo\.|stablehlo|mlir|loc\(|%\w+ ?=|site-packages|/torch/| at 0x", re.IGNORECASE
)
"""What a line for a user does not hold: a converter's inner code, and paths of this machine."""
_LONGEST = 200


def plain(error: BaseException) -> str:
    """Return ``: …`` with the first line of a vendor's message if it is fit for a user, or ``""``.

    ``--debug`` shows all of it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines or len(lines[0]) > _LONGEST or _DUMP.search(lines[0]):
        return ""
    return f": {lines[0]}"


def unknown_operators(
    graph: fx.Graph, known: Callable[[Any], bool], reason: str
) -> list[OpRefusal]:
    """Return one refusal per operator kind of ``graph`` that ``known`` rejects."""
    refusals: dict[str, OpRefusal] = {}
    for node in graph.nodes:
        if not isinstance(node.target, OpOverload) or known(node.target):
            continue
        refusals.setdefault(
            str(node.target), OpRefusal(str(node.target), node.name, reason, source_line(node))
        )
    return list(refusals.values())
