"""Probe inputs: SplitMix64 is checked against published values and plain integer arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cnn_export.program.tensors import TensorSpec
from cnn_export.proof.probes import (
    LARGE_SCALE,
    PROBE_SEED,
    manifest_probe,
    pixel_probes,
    standard_probes,
)
from cnn_export.proof.splitmix64 import uniform

IMAGE = TensorSpec("image", (-1, 3, 5, 7), torch.float32)
TOKENS = TensorSpec("tokens", (2, 9), torch.int64)
MASK = TensorSpec("mask", (2, 9), torch.bool)

PUBLISHED_SEED = 1234567
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
"""The first outputs for the seed, as listed for the reference implementation."""


def splitmix64(seed: int, count: int) -> list[int]:
    """The algorithm as the paper states it, in unbounded integers cut to 64 bits."""
    word = 2**64 - 1
    values: list[int] = []
    state = seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & word
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & word
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & word
        values.append(z ^ (z >> 31))
    return values


def test_published_values() -> None:
    assert splitmix64(PUBLISHED_SEED, 5) == PUBLISHED
    values = uniform(PUBLISHED_SEED, 5)
    assert [int(v * 2**24) for v in values.astype(np.float64)] == [v >> 40 for v in PUBLISHED]


@pytest.mark.parametrize("seed", [0, 1, PROBE_SEED, 2**63, 2**64 - 1])
def test_equals_integer_arithmetic(seed: int) -> None:
    values = uniform(seed, 257)
    expected = [(value >> 40) / 2**24 for value in splitmix64(seed, 257)]
    assert values.astype(np.float64).tolist() == expected


def test_values_are_exact_float32_in_the_unit_interval() -> None:
    values = uniform(7, 20_000)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() < 1
    assert abs(float(values.mean()) - 0.5) < 0.01
    assert uniform(7, 0).shape == (0,)


def test_the_manifest_probe_is_the_stream_in_c_order_per_input() -> None:
    probe = manifest_probe((IMAGE, TOKENS), batch=2)
    image = [(v >> 40) / 2**24 for v in splitmix64(PROBE_SEED, 2 * 3 * 5 * 7)]
    tokens = [(v >> 40) * 2 // 2**24 for v in splitmix64(PROBE_SEED + 1, 18)]
    assert probe.name == "uniform"
    assert list(probe.inputs) == ["image", "tokens"]
    assert probe.inputs["image"].shape == (2, 3, 5, 7)
    assert probe.inputs["image"].ravel().tolist() == image
    assert probe.inputs["tokens"].dtype == np.int64
    assert probe.inputs["tokens"].ravel().tolist() == tokens
    assert set(tokens) == {0, 1}


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_standard_probes(precision: str) -> None:
    normal, constant, large = standard_probes((IMAGE, TOKENS, MASK), precision, batch=3)
    for probe in (normal, constant, large):
        assert [v.shape for v in probe.inputs.values()] == [(3, 3, 5, 7), (2, 9), (2, 9)]
        assert [v.dtype for v in probe.inputs.values()] == [np.float32, np.int64, np.bool_]
        assert set(probe.inputs["tokens"].ravel().tolist()) <= {0, 1}
    assert set(constant.inputs["image"].ravel().tolist()) == {0.5}
    np.testing.assert_allclose(
        large.inputs["image"], normal.inputs["image"] * LARGE_SCALE[precision], rtol=1e-6
    )
    assert 0.8 < normal.inputs["image"].std() < 1.2


def test_pixels_of_the_manifest_probe_are_the_top_eight_bits() -> None:
    probe = manifest_probe((IMAGE,), kind="pixel")
    expected = [float(value >> 56) for value in splitmix64(PROBE_SEED, 3 * 5 * 7)]
    assert probe.inputs["image"].dtype == np.float32
    assert probe.inputs["image"].ravel().tolist() == expected


@pytest.mark.parametrize(("dtype", "lowest"), [(torch.uint8, 0), (torch.int8, -128)])
def test_integer_pixels_take_every_level(dtype: torch.dtype, lowest: int) -> None:
    probe = manifest_probe((TensorSpec("image", (1, 3, 50, 70), dtype),), kind="pixel")
    expected = [int(value >> 56) + lowest for value in splitmix64(PROBE_SEED, 3 * 50 * 70)]
    assert probe.inputs["image"].ravel().tolist() == expected
    assert set(expected) == set(range(lowest, lowest + 256))


def test_pixel_probes_are_whole_and_within_a_byte() -> None:
    picture = TensorSpec("picture", (1, 3, 5, 7), torch.float32)
    normal, constant, large = pixel_probes((picture,))
    for probe in (normal, constant, large):
        values = probe.inputs["picture"]
        assert values.shape == (1, 3, 5, 7)
        assert values.dtype == np.float32
        assert np.array_equal(values, np.clip(np.round(values), 0, 255))
    assert np.unique(normal.inputs["picture"]).size > 50
    assert set(constant.inputs["picture"].ravel().tolist()) == {128.0}
    assert set(large.inputs["picture"].ravel().tolist()) == {255.0}
