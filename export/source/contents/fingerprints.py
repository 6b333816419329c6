"""Short marks of tensors' values, to see later whether anything has changed them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch

Fingerprint = tuple[torch.dtype, tuple[int, ...], int]
"""dtype, shape, and CRC-32 of the values' bytes: enough against accidents and own code."""


def fingerprint(tensor: torch.Tensor) -> Fingerprint:
    """Return the mark of a dense CPU tensor with data. Nothing is copied where it is contiguous."""
    flat = tensor.detach().contiguous().reshape(-1)
    checksum = zlib.crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0
    return tensor.dtype, tuple(tensor.shape), checksum


def fingerprints(tensors: Mapping[str, torch.Tensor]) -> dict[str, Fingerprint]:
    """Return the marks by name."""
    return {name: fingerprint(tensor) for name, tensor in tensors.items()}
