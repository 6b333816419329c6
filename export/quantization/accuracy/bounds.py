"""How good int8 has to be, by kind of output, and why that figure and that number."""

from __future__ import annotations

import dataclasses
from typing import Literal

from cnn_export.quantization.accuracy.output_kind import OutputKind

Figure = Literal[
    "agreement where fp32 is sure", "agreement", "accuracy lost", "cosine", "variance explained"
]


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The least of each figure (of ``accuracy_loss``, the most), all settable.

    They lie between MobileNetV2 with a weight scale per channel and with one per tensor, on
    photographs unlike those that calibrated it: agreement 76 % and 56 % (98 % and 81 % where fp32
    is sure), cosine of the last map 0.94 and 0.85, of its means 0.98 and 0.91, variance of the
    logits explained 94 % and 77 %.

    None of them is the SNR: over ways to choose ranges for MobileNetV2, the highest, 14.7 dB, had
    the second lowest agreement, 75 % (percentile 99.9 against min/max's 82 %).
    """

    agreement_sure: float = 0.97
    agreement: float = 0.65
    accuracy_loss: float = 0.01
    map_cosine: float = 0.9
    embedding_cosine: float = 0.95
    explained: float = 0.9


REASONS: dict[Figure, str] = {
    "agreement where fp32 is sure": (
        "a class that fp32 gives more than half is its answer; sound int8 keeps 97 to 99 % of them"
    ),
    "agreement": (
        "near ties flip in any 8-bit network (MobileNetV2 keeps 76 %); far fewer mean a broken one"
    ),
    "accuracy lost": "true classes tell what flipped answers cost; one sample is always allowed",
    "cosine": "features and maps are compared by direction; their classifier comes later",
    "variance explained": "what counts of a number is how it differs between samples",
}

FIGURES: dict[OutputKind, tuple[Figure, ...]] = {
    "logits": ("agreement where fp32 is sure", "agreement", "accuracy lost"),
    "probabilities": ("agreement where fp32 is sure", "agreement", "accuracy lost"),
    "map": ("cosine",),
    "embedding": ("cosine",),
    "vector": ("variance explained",),
}
"""Which figures judge which kind of output."""
