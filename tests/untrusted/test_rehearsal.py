"""What a copy of this process tries ends, whatever this process has done before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cnn_export.errors import InputRefused
from cnn_export.untrusted.bounded_process import Limits
from cnn_export.untrusted.rehearsal import rehearse

LIMITS = Limits(memory_bytes=2**30, cpu_s=10)
SIZE = (700, 500)


def _computed() -> None:
    left = torch.full(SIZE, 0.5)
    (left @ left.T).exp().sum()


def test_after_work_on_threads() -> None:
    """Threads of this process do not exist in its copy, which must not wait for them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _computed()
        rehearse(_computed, path=Path("net.pt2"), limits=LIMITS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_limits_hold_on_one_thread() -> None:
    def one_thread() -> None:
        assert torch.get_num_threads() == 1

    rehearse(one_thread, path=Path("net.pt2"), limits=LIMITS)
    with pytest.raises(InputRefused, match=r"net\.pt2 cannot be read"):
        rehearse(lambda: torch.zeros(-1), path=Path("net.pt2"), limits=LIMITS)
