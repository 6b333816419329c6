"""Samples made of nothing: for trying a job out. Ranges from them are not those of real data."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence

import numpy as np

from cnn_export.program.normalization import Normalization
from cnn_export.program.tensors import Array, TensorSpec
from cnn_export.proof.sample_values import converted
from cnn_export.proof.splitmix64 import probe_values, uniform
from cnn_export.quantization.calibration.sample_source import Reader, ReadSample, SourceKind

SYNTHETIC_COUNT = 64
_SEED = 20261130
_IMAGE_RANK, _SMALLEST_GRID = 4, 1
_LEVELS = 255.0


class SyntheticSamples:
    """Seeded samples: for images, noise of every size in equal parts; else uniform values.

    White noise averages out in the first layers; a sum of random grids, each twice as fine as the
    one before and of equal contrast, has about the 1/f spectrum of photographs (Field 1987).
    """

    kind: SourceKind = "synthetic"
    order = f"by number, from seed {_SEED}"

    def __init__(
        self, specs: Sequence[TensorSpec], normalization: Normalization | None, *, pixels: bool
    ) -> None:
        self._specs, self._normalization, self._pixels = specs, normalization, pixels
        self.count = SYNTHETIC_COUNT

    def name(self, index: int) -> str:
        """Return the number of a sample, from 0."""
        return f"synthetic {index}"

    @contextlib.contextmanager
    def reading(self) -> Generator[Reader]:
        """Yield a reader that computes one sample a call."""
        yield lambda index: ReadSample(
            {
                spec.name: self._value(spec, _SEED + index * len(self._specs) + position)
                for position, spec in enumerate(self._specs)
            }
        )

    def _value(self, spec: TensorSpec, seed: int) -> Array:
        shape = (1, *spec.shape[1:])
        if not spec.dtype.is_floating_point:
            return probe_values(seed, int(np.prod(shape)), np.dtype("int64")).reshape(shape)
        if len(shape) != _IMAGE_RANK:
            return 4 * uniform(seed, int(np.prod(shape))).reshape(shape) - 2
        image = _noise(shape, seed)
        if self._pixels:
            return converted("synthetic", spec, np.round(image * _LEVELS))
        mean, std = (
            (0.5, 0.25)
            if self._normalization is None
            else (
                np.reshape(each, (1, -1, 1, 1))
                for each in (self._normalization.mean, self._normalization.std)
            )
        )
        return converted("synthetic", spec, (image - mean) / std)


def _noise(shape: tuple[int, ...], seed: int) -> Array:
    """Return values in [0, 1], shape (1, channels, height, width)."""
    channels, height, width = shape[1:]
    total, size, grids = np.zeros(shape), _SMALLEST_GRID, 0
    while True:
        values = uniform(seed + 7919 * grids, channels * size * size).reshape(channels, size, size)
        rows, columns = (np.arange(extent) * size // extent for extent in (height, width))
        total[0] += values[:, rows][:, :, columns] - 0.5
        grids, size = grids + 1, 2 * size
        if size > max(height, width):
            # The parts are independent: their sum spreads with the root of their number.
            return np.clip(0.5 + total / np.sqrt(grids), 0, 1)
