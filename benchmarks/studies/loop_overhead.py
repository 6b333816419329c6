"""``python -m cnn_export.benchmarks.studies.loop_overhead``: what the timing loop itself costs.

The loops time a model that does nothing. ``inside`` is what a sample holds beyond two adjacent
clock calls; ``around`` is what a whole turn takes beyond them. Medians over rounds, ns.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable

from cnn_export.benchmarks.worker.timing_loop import Timed, timed_inferences, timed_pairs

_ROUNDS = 7
_SECONDS = 0.02
_CLOCK_CALLS = 10_000

Figures = dict[str, float]


def measure_overhead() -> dict[str, Figures]:
    """Return ``inside_ns`` and ``around_ns`` per inference, of the single and the pair loop."""
    return {
        "single": _overhead(lambda: timed_inferences(_nothing, _SECONDS)),
        "pair": _overhead(lambda: timed_pairs((_nothing, _nothing), _SECONDS)),
    }


def _nothing() -> None:
    """The null model."""


def _overhead(loop: Callable[[], Timed]) -> Figures:
    rounds = [_round(loop) for _ in range(_ROUNDS)]
    return {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}


def _round(loop: Callable[[], Timed]) -> Figures:
    clock = _clock_ns()
    start = time.perf_counter_ns()
    timed = loop()
    whole = time.perf_counter_ns() - start
    inferences = sum(map(len, timed.series)) + timed.warm_up * len(timed.series)
    samples = [ns for series in timed.series for ns in series]
    return {
        "clock_ns": clock,
        "inside_ns": statistics.median(samples) - clock,
        "around_ns": whole / inferences - 2 * clock,
    }


def _clock_ns() -> float:
    """Return the median time from one clock call to the next."""
    clock = time.perf_counter_ns
    times = [clock() for _ in range(_CLOCK_CALLS)]
    return statistics.median(late - early for early, late in itertools.pairwise(times))


def main() -> int:
    """Measure, and write one JSON document."""
    sys.stdout.write(json.dumps(measure_overhead(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
