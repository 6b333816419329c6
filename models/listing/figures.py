"""Parameters and multiply-accumulates of a network, from shapes alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.models.published import Published


@dataclasses.dataclass(frozen=True)
class Figures:
    """Parameters, and multiply-accumulates of convolutions and matrix products for one image."""

    params: int
    macs: int


def figures(
    build: Callable[..., nn.Module], arguments: Mapping[str, Any], input_size: tuple[int, ...]
) -> Figures:
    """Build on the meta device, without memory for weights, and count one image of ``input_size``.

    ``input_size`` is (channels, height, width).
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = build(**arguments).to("meta").eval()
        network(torch.empty(1, *input_size))
    params = sum(parameter.numel() for parameter in network.parameters())
    return Figures(params, counter.get_total_flops() // 2)


def deviations(measured: Figures, row: Published) -> list[str]:
    """Return what differs from the published figures by more than 1 %, or than they are rounded."""
    pairs = {"parameters": (measured.params, row.params_m), "MACs": (measured.macs, row.macs_m)}
    return [
        f"{name} {count / 1e6:.4g} M against {stated:.4g} M"
        for name, (count, stated) in pairs.items()
        if stated is not None and abs(count / 1e6 - stated) > max(0.01 * stated, _rounding(stated))
    ]


def _rounding(stated: float) -> float:
    """Return half of the last digit that is given: 0.05 of 5.1, 0.5 of 142."""
    digits = repr(stated).removesuffix(".0").partition(".")[2]
    return 0.5 * 10.0 ** -len(digits)
