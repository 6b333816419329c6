"""Does interleaving change what is measured? Short turns beside long blocks, in one process.

Run as ``python -m cnn_export.benchmarks.studies.cache_mixing A B --block 1``; prints as JSON, for
each artifact, its median time interleaved by so many inferences over that in a long block alone.
Above 1, the caches had to be filled again. Loads torch for ``.pte``.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cnn_export.benchmarks.statistics.comparison import process_ratio
from cnn_export.benchmarks.worker.loaded_artifact import load_checked

Infer = Callable[[], None]

ROUNDS = 20
LENGTH = 48
"""Inferences of each artifact in each half of a round."""
_REFILL = 8
"""Inferences at the start of a long block that may still meet the other's caches."""
_THREADS = 1


def mixing_ratios(infers: Sequence[Infer], block: int, rounds: int = ROUNDS) -> list[float]:
    """Return, per artifact, time interleaved by ``block`` over that in long blocks: median.

    A round is a long block of each artifact, then as many inferences interleaved; both halves are a
    fraction of a second apart, so a slow machine is slow in both.
    """
    blocked: list[list[float]] = [[] for _ in infers]
    mixed: list[list[float]] = [[] for _ in infers]
    gc.disable()  # a collection inside an inference would be timed with it
    for _ in range(rounds):
        for series, times in zip(blocked, _in_turns(infers, LENGTH + _REFILL, 1), strict=True):
            series.append(statistics.median(times[_REFILL:]))
        for series, times in zip(mixed, _in_turns(infers, block, LENGTH // block), strict=True):
            series.append(statistics.median(times))
    gc.enable()
    return [process_ratio(base, new) for base, new in zip(blocked, mixed, strict=True)]


def _in_turns(infers: Sequence[Infer], block: int, turns: int) -> list[list[int]]:
    times: list[list[int]] = [[] for _ in infers]
    for _ in range(turns):
        for series, infer in zip(times, infers, strict=True):
            series.extend(_timed(infer) for _ in range(block))
    return times


def _timed(infer: Infer) -> int:
    start = time.perf_counter_ns()
    infer()
    return time.perf_counter_ns() - start


def main(argv: Sequence[str] | None = None) -> int:
    """Load, time and print."""
    parser = argparse.ArgumentParser(prog="cnn_export.benchmarks.studies.cache_mixing")
    parser.add_argument("artifacts", nargs=2, type=Path)
    parser.add_argument("--block", type=int, choices=range(1, LENGTH + 1), default=1)
    options = parser.parse_args(argv)
    loaded = [load_checked(path, _THREADS, {}) for path in options.artifacts]
    ratios = mixing_ratios([each.model.infer for each in loaded], options.block)
    sys.stdout.write(json.dumps(ratios) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
