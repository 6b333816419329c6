"""BlazeFace (CVPRW 2019, arXiv 1907.05047): padding at one side, shortcuts with empty channels."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class _BlazeBlock(nn.Module):
    """Depthwise 5x5 and pointwise beside a shortcut, pooled and filled up with zeros."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.added = stride, outputs - inputs
        padding = 0 if stride == 2 else 2
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, inputs, 5, stride, padding, groups=inputs),
            nn.Conv2d(inputs, outputs, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if self.stride == 2:
            # As TensorFlow pads to "same": one more behind than before.
            x = functional.pad(x, (1, 2, 1, 2))
            shortcut = functional.max_pool2d(shortcut, self.stride)
        if self.added:
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.added))
        return torch.relu(self.convs(x) + shortcut)


class BlazeFace(nn.Module):
    """Image (1, 3, H, W), sides multiples of 16 → boxes (1, n, 16) and scores (1, n, 1)."""

    def __init__(self, width: int = 24) -> None:
        """Build it with ``width`` channels at first; the paper's is 24."""
        super().__init__()
        wide, widest = 2 * width, 4 * width
        self.stem = nn.Conv2d(3, width, 5, 2)
        self.fine = nn.Sequential(
            _BlazeBlock(width, width),
            _BlazeBlock(width, wide, 2),
            _BlazeBlock(wide, wide),
            _BlazeBlock(wide, widest, 2),
            _BlazeBlock(widest, widest),
        )
        self.coarse = nn.Sequential(_BlazeBlock(widest, widest, 2), _BlazeBlock(widest, widest))
        self.scores = nn.ModuleList(nn.Conv2d(widest, anchors, 1) for anchors in (2, 6))
        self.boxes = nn.ModuleList(nn.Conv2d(widest, anchors * 16, 1) for anchors in (2, 6))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return raw boxes with six key points each, and raw scores."""
        x = torch.relu(self.stem(functional.pad(image, (1, 2, 1, 2))))
        fine = self.fine(x)
        maps = (fine, self.coarse(fine))
        boxes = [_rows(head(x), 16) for head, x in zip(self.boxes, maps, strict=True)]
        scores = [_rows(head(x), 1) for head, x in zip(self.scores, maps, strict=True)]
        return torch.cat(boxes, 1), torch.cat(scores, 1)


def _rows(x: torch.Tensor, values: int) -> torch.Tensor:
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)
