"""A one-stage detector as YOLOv5 is built: focus stem, CSP stages, two heads, grids kept.

YOLOX (arXiv 2107.08430) has the stem, CSPNet (arXiv 1911.11929) the stages; the grids and anchors
are made in ``forward`` where the size of the map is new, and kept, as in YOLOv5's ``Detect``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from cnn_export.benchmarks.studies.field.networks.parts import conv_norm

_CLASSES, _ANCHORS = 4, ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0))
_VALUES = 5 + _CLASSES


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return conv_norm(inputs, outputs, kernel, stride, activation=nn.SiLU)


class _Csp(nn.Module):
    """Half of the channels through a residual bottleneck, the other half past it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.through, self.past = _conv(inputs, half), _conv(inputs, half)
        self.block = nn.Sequential(_conv(half, half), _conv(half, half, 3))
        self.last = _conv(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        through = self.through(x)
        return self.last(torch.cat([through + self.block(through), self.past(x)], 1))


class _Pyramid(nn.Module):
    """Three max pools in a row, all results concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels // 2)
        self.last = _conv(2 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = [self.first(x)]
        for _ in range(3):
            maps.append(functional.max_pool2d(maps[-1], 5, 1, 2))
        return self.last(torch.cat(maps, 1))


class Yolo(nn.Module):
    """Image (1, 3, H, W), sides multiples of 16 → (1, boxes, 5 + classes)."""

    def __init__(self, width: int = 16) -> None:
        """Build it with ``width`` channels behind the stem."""
        super().__init__()
        self.stem = _conv(12, width, 3)
        self.fine = nn.Sequential(_conv(width, 2 * width, 3, 2), _Csp(2 * width, 2 * width))
        self.coarse = nn.Sequential(
            _conv(2 * width, 4 * width, 3, 2), _Csp(4 * width, 4 * width), _Pyramid(4 * width)
        )
        self.lateral = _conv(4 * width, 2 * width)
        self.merged = _Csp(4 * width, 2 * width)
        self.heads = nn.ModuleList(
            nn.Conv2d(channels, len(_ANCHORS) * _VALUES, 1) for channels in (2 * width, 4 * width)
        )
        self.strides = (4, 8)
        self.grids: list[Any] = [torch.zeros(0), torch.zeros(0)]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return centre, size, objectness and class scores of every anchor at every place."""
        rows = [image[..., ::2, :], image[..., 1::2, :]]
        x = torch.cat([each[..., first::2] for first in (0, 1) for each in rows], 1)
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        up = functional.interpolate(self.lateral(coarse), scale_factor=2.0, mode="nearest")
        maps = (self.merged(torch.cat([up, fine], 1)), coarse)
        return torch.cat(
            [self._boxes(i, head(x)) for i, (head, x) in enumerate(self._zip(maps))], 1
        )

    def _zip(self, maps: tuple[torch.Tensor, ...]) -> list[tuple[nn.Module, torch.Tensor]]:
        return list(zip(self.heads, maps, strict=True))

    def _boxes(self, level: int, raw: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = raw.shape
        raw = raw.view(batch, len(_ANCHORS), _VALUES, height, width).permute(0, 1, 3, 4, 2)
        if self.grids[level].shape[2:4] != raw.shape[2:4]:
            self.grids[level] = _grid(height, width, raw)
        scores = raw.contiguous().sigmoid()
        anchors = torch.tensor(_ANCHORS, dtype=raw.dtype).view(1, -1, 1, 1, 2)
        centre = (scores[..., 0:2] * 2 + self.grids[level]) * self.strides[level]
        size = (scores[..., 2:4] * 2) ** 2 * anchors
        return torch.cat([centre, size, scores[..., 4:]], -1).view(batch, -1, _VALUES)


def _grid(height: int, width: int, like: torch.Tensor) -> torch.Tensor:
    """Return the position of every place, half a place to the upper left: (1, 1, H, W, 2)."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (torch.stack([columns, rows], 2).to(like.dtype) - 0.5).expand(1, 1, height, width, 2)
