"""Which operators of a file XNNPACK's events stand for, told by their order and kinds. Pure.

XNNPACK reports operators in the order of the graph but without the file's names: some vanish
(padding and activations become part of their neighbours, views cost nothing), some appear (copies,
changes of layout). The longest common subsequence of compatible kinds pairs the rest; it counts
only if every operator with arithmetic, on both sides, found its partner.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from cnn_export.benchmarks.cost.artifact_cost import OpCost

_CONTRACTIONS = ("Convolution", "Deconvolution", "Fully Connected", "Batch Matrix", "Subconv")
_KINDS: dict[str, str] = {
    "Add": "ADD",
    "Subtract": "SUB",
    "Multiply": "MUL",
    "Divide": "DIV",
    "Maximum": "MAXIMUM",
    "Minimum": "MINIMUM",
    "HardSwish": "HARD_SWISH",
    "Clamp": "RELU RELU6 RELU_N1_TO_1",
    "Sigmoid": "LOGISTIC",
    "Tanh": "TANH",
    "PReLU": "PRELU",
    "Leaky": "LEAKY_RELU",
    "ELU": "ELU",
    "GELU": "GELU",
    "Mean": "MEAN AVERAGE_POOL_2D",
    "Sum": "MEAN SUM",
    "Average": "AVERAGE_POOL_2D",
    "Global": "MEAN",
    "Max": "MAX_POOL_2D",
    "Softmax": "SOFTMAX",
    "Transpose": "TRANSPOSE",
    "Constant": "PAD PADV2",
    "Resize": "RESIZE_BILINEAR",
    "Convert": "CAST QUANTIZE DEQUANTIZE",
    "Copy": "RESHAPE CONCATENATION SLICE STRIDED_SLICE SPLIT SQUEEZE",
}
"""First word of an event's name → TFLite's kinds of operators."""


def align(events: Sequence[str], ops: Sequence[OpCost]) -> list[tuple[str, ...]] | None:
    """Return the names of the operators that each event computes, or ``None`` if unsure.

    ``events`` are kinds as the runtime names them, in its order. An operator without an event
    belongs to its neighbour: padding to the next one, everything else to the one before.
    """
    counted = [op for op in ops if op.category not in ("view", "constant") or op.mac_bytes]
    pairs = _common_subsequence(events, counted)
    if not _complete(events, counted, pairs):
        return None
    covers: list[list[str]] = [[] for _ in events]
    places = [op_index for _, op_index in pairs]
    for index, op in enumerate(counted):
        pair = _owner(index, op, places)
        if pair is not None:
            covers[pairs[pair][0]].append(op.name)
    return [tuple(names) for names in covers]


def compatible(event: str, op: OpCost) -> bool:
    """Whether an event of this kind can be this operator."""
    if event == op.kind:
        return True
    if event.startswith(_CONTRACTIONS):
        return op.category == "contraction"
    words = event.split()
    known = _KINDS.get(words[0], "").split() if words else []
    return op.kind in known


def _common_subsequence(events: Sequence[str], ops: Sequence[OpCost]) -> list[tuple[int, int]]:
    """Return the pairs (event, operator) of a longest common subsequence, in order."""
    fits = [[compatible(event, op) for op in ops] for event in events]
    best = [[0] * (len(ops) + 1) for _ in range(len(events) + 1)]
    for i in range(len(events) - 1, -1, -1):
        for j in range(len(ops) - 1, -1, -1):
            paired = 1 + best[i + 1][j + 1] if fits[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(events) and j < len(ops):
        if fits[i][j] and best[i][j] == 1 + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _complete(
    events: Sequence[str], ops: Sequence[OpCost], pairs: Sequence[tuple[int, int]]
) -> bool:
    paired_events, paired_ops = {event for event, _ in pairs}, {op for _, op in pairs}
    computing_events = {i for i, event in enumerate(events) if event.startswith(_CONTRACTIONS)}
    computing_ops = {j for j, op in enumerate(ops) if op.macs != 0}
    return computing_events <= paired_events and computing_ops <= paired_ops


def _owner(index: int, op: OpCost, places: Sequence[int]) -> int | None:
    """Return the position in ``places`` of the operator whose event computes ``index`` as well."""
    after = bisect.bisect_left(places, index)
    if after < len(places) and places[after] == index:
        return after
    if op.category == "padding" and after < len(places):
        return after
    if after > 0:
        return after - 1
    return after if after < len(places) else None
