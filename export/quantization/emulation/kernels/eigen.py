"""The order in which Eigen adds float32, four to a packet, as ONNX Runtime is built."""

from __future__ import annotations

from collections.abc import Callable

import torch

from cnn_export.quantization.emulation.kernels.float32_arithmetic import sequential_sum

_PACKET = 4

Fold = Callable[[torch.Tensor], torch.Tensor]
"""Adds the last dimension, which holds one packet."""


def halves_first(packet: torch.Tensor) -> torch.Tensor:
    """Return ``(a₀ + a₂) + (a₁ + a₃)``, as SSE's packets are added."""
    return (packet[..., 0] + packet[..., 2]) + (packet[..., 1] + packet[..., 3])


def neighbours_first(packet: torch.Tensor) -> torch.Tensor:
    """Return ``(a₀ + a₁) + (a₂ + a₃)``, as NEON's packets are added."""
    return (packet[..., 0] + packet[..., 1]) + (packet[..., 2] + packet[..., 3])


def column_means(rows: torch.Tensor, fold: Fold) -> torch.Tensor:
    """Return the mean of each row of (rows, n), rows one after the other in aligned memory.

    ``redux`` with linear vectorized traversal (Eigen's ``src/Core/Redux.h``): packets start where
    memory is aligned to 16 bytes, so rows of odd length begin at another element each.
    """
    length = rows.shape[1]
    starts = (-torch.arange(len(rows)) * length) % _PACKET
    means = rows.new_empty(len(rows))
    for start in range(_PACKET):
        chosen = starts == start
        if chosen.any():
            means[chosen] = _sum(rows[chosen], min(start, length), fold) / length
    return means


def _sum(rows: torch.Tensor, start: int, fold: Fold) -> torch.Tensor:
    """Add rows whose first packet begins at ``start``; what lies outside of packets comes last."""
    length = rows.shape[1]
    packets = (length - start) // _PACKET
    if packets == 0:
        return sequential_sum(rows[:, 1:], rows[:, 0])
    end = start + packets * _PACKET
    inside = rows[:, start:end].reshape(len(rows), packets, _PACKET)
    total = fold(_packet_sum(inside))
    return sequential_sum(rows[:, end:], sequential_sum(rows[:, :start], total))


def _packet_sum(packets: torch.Tensor) -> torch.Tensor:
    """Add (rows, packets, 4) over packets: even and odd ones apart, a last odd one at the end."""
    count = packets.shape[1]
    total = packets[:, 0]
    if count == 1:
        return total
    other = packets[:, 1]
    for index in range(2, count - 1, 2):
        total = total + packets[:, index]
        other = other + packets[:, index + 1]
    total = total + other
    return total + packets[:, -1] if count % 2 else total
