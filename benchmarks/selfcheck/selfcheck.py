"""A/A: does the harness tell a file from itself, and are its statistics right on known noise?

:func:`measure_against_itself` runs the default comparison on a device with the same file twice;
:func:`judge` is pure.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.devices.contract import Device, Job
from cnn_export.benchmarks.results.series import Nanoseconds, PairedTimes
from cnn_export.benchmarks.selfcheck.noise import (
    PROCESS_BLOCK,
    SHAPES,
    Source,
    loading_orders,
    recorded,
    recorded_names,
    resampled,
    synthetic,
)
from cnn_export.benchmarks.selfcheck.simulation import SLOWDOWN, Rates, simulate
from cnn_export.benchmarks.statistics.comparison import (
    DEFAULT_PAIR_REPEATS,
    DEFAULT_PAIR_SECONDS,
    Comparison,
)


@dataclasses.dataclass(frozen=True)
class SelfCheck:
    """``same`` and ``slowed`` are ``None`` where no device was asked.

    ``same`` compares the file with itself, ``slowed`` the same times with the second one's
    stretched by :data:`~.simulation.SLOWDOWN`. ``on_device`` is resampled
    from those times, ``rates`` from known noise. One line per broken promise: in
    ``device_problems`` for this device, in ``problems`` for the statistics themselves.
    """

    same: Comparison | None
    slowed: Comparison | None
    on_device: Rates | None
    rates: tuple[Rates, ...]
    device_problems: tuple[str, ...]
    problems: tuple[str, ...]


def measure_against_itself(
    device: Device,
    artifact: Path,
    repeats: int,
    limit_s: float,
    clock_s: Callable[[], float] = time.monotonic,
) -> PairedTimes:
    """Interleave the artifact with itself in up to ``repeats`` processes, one thread each.

    In every other process the new one is the instance that was loaded first. No process starts
    after ``limit_s`` seconds. Who begins swaps every other process, as in a run
    whose processes swap who is loaded first.

    Raises:
        ExportError: as :meth:`~cnn_export.benchmarks.devices.contract.Device.run`.
    """
    end = clock_s() + limit_s
    pairs: list[tuple[Nanoseconds, Nanoseconds]] = []
    for repeat in range(repeats):
        if pairs and clock_s() >= end:
            break
        job = Job("pair", (artifact, artifact), 1, DEFAULT_PAIR_SECONDS, b_first=repeat % 4 > 1)
        first, second = map(np.asarray, device.run(job).session.pairs_ns)
        pairs.append((first, second))
    swapped = loading_orders(len(pairs))
    ordered = [each[::-1] if swap else each for each, swap in zip(pairs, swapped, strict=True)]
    return PairedTimes([base for base, _ in ordered], [new for _, new in ordered], swapped)


def against_itself(times: PairedTimes) -> tuple[Comparison, Comparison]:
    """Return the file compared with itself, and with its times stretched by the true slowdown.

    Raises:
        ValueError: as :func:`~cnn_export.benchmarks.statistics.comparison.compare`.
    """
    slowed = dataclasses.replace(times, new_ns=[ns * SLOWDOWN for ns in times.new_ns])
    return times.compared(), slowed.compared()


def judge(times: PairedTimes | None, trials: int, seed: int) -> SelfCheck:
    """Compare ``times`` of a file and itself, if any, simulate, and collect what is wrong.

    Raises:
        ValueError: as :func:`against_itself`.
    """
    rates = tuple(simulated(noise_sources(), trials, seed))
    problems = tuple(_problems(rates))
    if times is None:
        return SelfCheck(None, None, None, rates, (), problems)
    same, slowed = against_itself(times)
    on_device = simulate("this device", resampled(times.in_loading_order()), trials, seed)
    found = (*_alarm(same), *_problems([on_device]))
    return SelfCheck(same, slowed, on_device, rates, found, problems)


def noise_sources(*, moods: bool = False) -> dict[str, Source]:
    """Return the recorded and synthetic noises by name.

    ``moods`` adds the recordings with neighbouring processes drawn together: the machine's
    conditions of a short run then differ from those of the whole recording.
    """
    sources = {f"recorded {name}": recorded(name) for name in recorded_names()}
    if moods:
        for name in recorded_names():
            sources[f"recorded {name}, moods"] = recorded(name, PROCESS_BLOCK)
    return sources | {shape: synthetic(shape) for shape in SHAPES}


def simulated(
    sources: dict[str, Source],
    trials: int,
    seed: int,
    *,
    processes: int = DEFAULT_PAIR_REPEATS,
    separate: bool = False,
) -> list[Rates]:
    """Return the rates of the default comparison on each noise."""
    return [
        simulate(name, source, trials, seed, processes=processes, separate=separate)
        for name, source in sources.items()
    ]


def _alarm(same: Comparison) -> list[str]:
    if same.verdict not in ("faster", "slower"):
        return []
    return [f"the file was called {same.verdict} than itself ({same.ratio.value:.3f} times)"]


def _problems(rates: Sequence[Rates]) -> list[str]:
    return [f"{each.noise}: {broken}" for each in rates for broken in each.broken_promises()]
