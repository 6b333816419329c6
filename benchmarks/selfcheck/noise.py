"""Noise to try statistics on: recorded runs, resampled in blocks, and synthetic machines.

A simulated run is two arrays of nanoseconds, shape ``(processes, pairs)``, of a model compared
with *itself*: the true ratio is 1. In every other process the new one was loaded first. All is
drawn from a given generator. No I/O but reading the recording that ships with the package.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from cnn_export.benchmarks.statistics.intervals import FloatArray, Values

Generator = np.random.Generator

RECORDING_PATH = Path(__file__).with_name("recorded_noise.npz")
PAIR_BLOCK = 16
"""Neighbouring pairs that are drawn together, so that their correlation in time stays."""
PROCESS_BLOCK = 4
"""The same for processes, where a run is to have a mood of its own: one cycle of who begins."""

BASE_NS = 4e6
WITHIN_SIGMA = 0.09
PROCESS_SIGMA = 0.057
PLACEMENT_SIGMA = 0.0145
"""Relative spreads inside a process, between processes, and of the ratio of two instances of one
model in one process. The first two were measured (ImageNet MobileNetV2 in TFLite on a noisy
two-core virtual machine); the third brings the ratios of processes with 120 pairs to the measured
2.05 %, three times what the recordings of a calmer hour show."""

LOADED_LAST = 0.97
"""Times of the instance loaded last over those of the other. Measured: SkipNet of 0.1 ms in ONNX
Runtime 0.96 to 0.99, in ExecuTorch 0.97 to 0.99, in LiteRT 0.99 to 1.00."""

REDRAWN = 50
"""How many times a run's processes are drawn again to know their median."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One simulated comparison: times of the base and of the new one, ns, ``(processes, pairs)``.

    ``center_ns`` is the median around which the medians of the run's processes lie.
    """

    base_ns: FloatArray
    new_ns: FloatArray
    center_ns: float

    def slowed(self, factor: float) -> Run:
        """Return the run in which the new one truly takes ``factor`` times as long."""
        return dataclasses.replace(self, new_ns=self.new_ns * factor)


Source = Callable[[Generator, int, int], Run]
"""Draw a run of so many processes and pairs."""


def recorded_names(path: Path = RECORDING_PATH) -> list[str]:
    """Return the names of the recordings in the file."""
    with np.load(path) as archive:
        return sorted(archive.files)


def recorded(name: str, process_block: int = 1, path: Path = RECORDING_PATH) -> Source:
    """Return runs resampled from a recording of shape ``(2, processes, pairs)``, ns.

    Processes that had fewer pairs end in zeros.
    """
    with np.load(path) as archive:
        times = np.asarray(archive[name], np.float64)
    return resampled([both[:, both[0] > 0] for both in times.transpose(1, 0, 2)], process_block)


def resampled(pairs: Sequence[Sequence[Values] | FloatArray], process_block: int = 1) -> Source:
    """Return runs drawn from the two series of each recorded process of a file against itself.

    The first of a process's two was loaded first. Processes are drawn in blocks of
    ``process_block`` neighbours, which keep their places in the cycle of who begins; pairs inside
    each in circular blocks of :data:`PAIR_BLOCK` (the circular block bootstrap of Politis and
    Romano 1992). Both are the same file, so the truth is 1 exactly. The center is that of the
    whole recording.
    """
    series = [np.array([base, new], np.float64) for base, new in pairs]
    center = float(np.median([np.median(both, axis=1) for both in series]))

    def draw(generator: Generator, processes: int, pairs: int) -> Run:
        drawn = np.empty((2, processes, pairs))
        rows = _whole_blocks(generator, len(series), processes, process_block)
        for place, (row, swapped) in enumerate(zip(rows, loading_orders(processes), strict=True)):
            columns = circular_blocks(generator, series[row].shape[1], pairs, PAIR_BLOCK)
            drawn[:, place] = series[row][:: -1 if swapped else 1, columns]
        return Run(drawn[0], drawn[1], center)

    return draw


def loading_orders(processes: int) -> list[bool]:
    """Return for each process whether the new one was loaded first."""
    return [place % 2 == 1 for place in range(processes)]


def _whole_blocks(
    generator: Generator, available: int, wanted: int, length: int
) -> npt.NDArray[np.int64]:
    """Return ``wanted`` indices below ``available``, in runs from multiples of ``length`` on."""
    starts = length * generator.integers(available // length, size=-(-wanted // length))
    return np.add.outer(starts, np.arange(length)).ravel()[:wanted]


def circular_blocks(
    generator: Generator, available: int, wanted: int, length: int
) -> npt.NDArray[np.int64]:
    """Return ``wanted`` indices below ``available`` in runs of ``length`` that wrap around."""
    starts = generator.integers(available, size=-(-wanted // length))
    return (np.add.outer(starts, np.arange(length)).ravel()[:wanted]) % available


Shape = Literal["steady", "drift", "steps", "bimodal clock", "heavy tails", "loading order"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


def synthetic(shape: Shape) -> Source:
    """Return runs on a machine whose speed moves in the given shape.

    The times are ``BASE_NS · speed(t) · process · placement · noise``: ``speed`` is a curve over
    the inferences of the whole run, both artifacts interleaved; the other three are log-normal with
    the spreads above or, under heavy tails, Student's t of few degrees of freedom. The center is
    that of one artifact at this run's speed, over :data:`REDRAWN` times as many processes.
    """

    def draw(generator: Generator, processes: int, pairs: int) -> Run:
        speed = _SPEEDS[shape](generator, processes * pairs * 2).reshape(processes, pairs, 2)
        times = BASE_NS * np.exp(speed + _spreads(generator, shape, speed.shape))
        if shape == "loading order":
            times[..., 1] *= LOADED_LAST
        # The second of a pair runs later; which artifact that is changes from process to process.
        times[1::2] = times[1::2, :, ::-1]
        alone = np.tile(speed[:, :, :1], (REDRAWN, 1, 1))
        medians = np.median(alone + _spreads(generator, shape, alone.shape), axis=1)
        if shape == "loading order":  # the base is the instance loaded last in every other process
            medians.reshape(REDRAWN, processes)[:, 1::2] += np.log(LOADED_LAST)
        return Run(times[..., 0], times[..., 1], BASE_NS * float(np.exp(np.median(medians))))

    return draw


def _spreads(generator: Generator, shape: Shape, size: tuple[int, ...]) -> FloatArray:
    """Return logarithms, of shape ``size``: processes, pairs, instances."""
    processes, _, instances = size
    process = generator.normal(0, PROCESS_SIGMA, (processes, 1, 1))
    one_each = (processes, 1, instances)
    if shape != "heavy tails":
        placement = generator.normal(0, _INSTANCE_SIGMA, one_each)
        return process + placement + generator.normal(0, WITHIN_SIGMA, size)
    # Quartiles as of the normal draws and far heavier tails; an inference is only ever delayed.
    placement = generator.standard_t(3, one_each) * _INSTANCE_SIGMA * _NORMAL_OVER_T3
    delays = np.abs(generator.standard_t(2, size)).clip(max=_LONGEST_DELAY)
    return process + placement + delays * WITHIN_SIGMA


_INSTANCE_SIGMA = PLACEMENT_SIGMA / 2**0.5
_NORMAL_OVER_T3 = 0.6745 / 0.7649
"""Upper quartile of the normal distribution over that of Student's t with 3 degrees of freedom."""
_LONGEST_DELAY = 60.0
"""In units of ``WITHIN_SIGMA``: a factor of 200."""


def _steady(generator: Generator, count: int) -> FloatArray:
    return np.zeros(count)


def _drift(generator: Generator, count: int) -> FloatArray:
    """A machine that gets warm: slower by 30 % over the run, or faster, with a slow wave."""
    ramp = np.linspace(0, np.log(1.3), count) * generator.choice([-1, 1])
    wave = 0.05 * np.sin(np.linspace(0, 6 * np.pi, count) + generator.uniform(0, 2 * np.pi))
    return ramp + wave


def _steps(generator: Generator, count: int) -> FloatArray:
    """Another job comes and goes: levels up to 40 % slower, about one change per process of 20."""
    changes = np.sort(generator.integers(count, size=generator.poisson(20)))
    levels = generator.uniform(0, np.log(1.4), changes.size + 1)
    return np.repeat(levels, np.diff([0, *changes, count]))


def _bimodal(generator: Generator, count: int) -> FloatArray:
    """Two clocks a factor of 1.35 apart, kept for a random number of inferences."""
    mean_stay = count / 60
    stays = np.ceil(generator.exponential(mean_stay, 200)).astype(int)
    slow = (np.arange(stays.size) + generator.integers(2)) % 2
    return np.resize(np.repeat(slow * np.log(1.35), stays), count)


_SPEEDS: dict[Shape, Callable[[Generator, int], FloatArray]] = {
    "steady": _steady,
    "drift": _drift,
    "steps": _steps,
    "bimodal clock": _bimodal,
    "heavy tails": _steady,
    "loading order": _steady,
}
