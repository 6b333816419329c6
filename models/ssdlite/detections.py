"""What stays outside the graph: from raw offsets and logits to boxes, on the host.

A reference for an app's own code: plain arithmetic, then suppression class by class.
"""

from __future__ import annotations

import dataclasses

import torch
from torchvision.ops import batched_nms

CENTER_VARIANCE, SIZE_VARIANCE = 0.1, 0.2
"""How offsets are scaled in training (the SSD authors' code; SSDLite320 keeps it)."""
_LARGEST_GROWTH = 4.135  # log(1000 / 16): a size can grow so much at most, as detectors have it


@dataclasses.dataclass(frozen=True)
class Detections:
    """Found objects of one image, best first.

    ``boxes`` (n, 4) are (left, top, right, bottom) as shares of the image, ``scores`` (n,)
    probabilities, ``classes`` (n,) int64 from 1 on.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor


def decode(offsets: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return (n, 4) corners, clipped to the image, of offsets (n, 4) from default boxes (n, 4)."""
    centers = anchors[:, :2] + CENTER_VARIANCE * offsets[:, :2] * anchors[:, 2:]
    growth = (SIZE_VARIANCE * offsets[:, 2:]).clamp(max=_LARGEST_GROWTH)
    half = anchors[:, 2:] * growth.exp() / 2
    return torch.cat([centers - half, centers + half], 1).clamp(0, 1)


def detections(
    offsets: torch.Tensor,
    logits: torch.Tensor,
    anchors: torch.Tensor,
    *,
    least_score: float = 0.02,
    overlap: float = 0.55,
    most: int = 100,
) -> Detections:
    """Return the objects of one image from the artifact's three outputs, without the batch axis.

    ``offsets`` (n, 4), ``logits`` (n, classes) with the background first, ``anchors`` (n, 4).
    Boxes below ``least_score`` are dropped; of two boxes of one class that overlap (intersection
    over union) more than ``overlap``, the likelier stays; at most ``most`` are returned.
    """
    probabilities = logits.softmax(1)[:, 1:]
    rows, columns = (probabilities > least_score).nonzero(as_tuple=True)
    scores = probabilities[rows, columns]
    boxes = decode(offsets, anchors)[rows]
    kept = batched_nms(boxes, scores, columns, overlap)[:most]
    return Detections(boxes[kept], scores[kept], columns[kept] + 1)
