"""Run the stage and float64 networks on one thread."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

import torch


@contextlib.contextmanager
def one_thread() -> Generator[None]:
    """Use one thread: grouped float64 convolutions run per group and spend threads on waiting.

    Measured on MobileNetV2 at 224: 0.20 s with one thread, 0.73 s and more with two. The stage's
    arithmetic on small weights as well: MobileOne-S0 on two busy cores 1.6 s with one thread,
    10.8 s with two.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
