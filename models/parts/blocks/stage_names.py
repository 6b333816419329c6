"""Counting a staged network's blocks by the names of its tensors."""

from __future__ import annotations

from collections.abc import Container


def blocks_per_stage(
    names: Container[str], pattern: str, stages: int, most: int, first: int = 0
) -> tuple[int, ...]:
    """Return how many blocks each stage has, at most ``most``.

    ``pattern`` is a tensor's name with ``{stage}``, from 1 on, and ``{block}``, from ``first`` on;
    blocks behind a gap do not count.
    """
    counted: list[int] = []
    for stage in range(1, stages + 1):
        block = 0
        while block < most and pattern.format(stage=stage, block=first + block) in names:
            block += 1
        counted.append(block)
    return tuple(counted)
