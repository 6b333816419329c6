"""MobileNet's table (arXiv 1704.04861, Table 1)."""

from __future__ import annotations

MOBILENET_PAIRS = (
    (64, 1),
    *((128, 2), (128, 1)),
    *((256, 2), (256, 1)),
    *((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    *((1024, 2), (1024, 1)),
)
"""Channels and stride of the depthwise-pointwise pairs behind the stem of 32 channels."""
