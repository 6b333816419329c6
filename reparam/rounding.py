"""What rounding the rewritten weights to a short dtype does to the network's result.

A fold multiplies weights: two numbers that float16 holds may have a product it does not. Too large
ones become infinite; too small ones lose their digits, or become zero, without a trace.
"""

from __future__ import annotations

import torch
from torch import fx

from cnn_export.reparam.errors import ReparameterizationError
from cnn_export.reparam.probe import Probe
from cnn_export.reparam.proof import ROUNDING_FACTOR, measured, nudged

SHORT = (torch.float16, torch.bfloat16)
"""Dtypes whose range or digits an ordinary fold can leave."""


def refuse_lossy_rounding(
    probe: Probe, rounded: fx.GraphModule, original: fx.GraphModule, dtype: torch.dtype
) -> None:
    """Compare a graph whose weights were rounded to ``dtype`` with the original, both in float64.

    The limit is what rounding its input to ``dtype`` does to the original, with the proof's margin.

    Raises:
        ReparameterizationError: the result moves by more.
    """
    error = measured(probe, rounded)
    one_place = torch.finfo(dtype).eps
    allowed = ROUNDING_FACTOR * max(one_place, measured(nudged(probe, one_place), original))
    if error > allowed:
        raise ReparameterizationError(
            f"folded weights are too small for {dtype}: rounding them moves the output by "
            f"{error:.2g} of its RMS, allowed is {allowed:.2g}; export in float32"
        )
