"""Channel order at the artifact's border, checked element by element."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cnn_export.program.layout import artifact_spec, from_artifact, is_image, to_artifact
from cnn_export.program.tensors import Layout, TensorSpec

IMAGE = TensorSpec("image", (-1, 3, 5, 7), torch.float32)
SCORES = TensorSpec("scores", (-1, 9), torch.float32)
VIDEO = TensorSpec("video", (1, 3, 2, 5, 7), torch.float32)
SPECS = (IMAGE, SCORES, VIDEO)


def values() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {"image": (2, 3, 5, 7), "scores": (2, 9), "video": (1, 3, 2, 5, 7)}
    return {name: generator.standard_normal(shape) for name, shape in shapes.items()}


def test_only_rank_four_is_an_image() -> None:
    assert [is_image(spec) for spec in SPECS] == [True, False, False]


def test_specs() -> None:
    assert [artifact_spec(spec, "nchw") for spec in SPECS] == [IMAGE, SCORES, VIDEO]
    nhwc = artifact_spec(IMAGE, "nhwc")
    assert (nhwc.name, nhwc.shape, nhwc.dtype) == ("image", (-1, 5, 7, 3), torch.float32)
    assert [artifact_spec(spec, "nhwc") for spec in (SCORES, VIDEO)] == [SCORES, VIDEO]


def test_nchw_touches_nothing() -> None:
    given = values()
    for result in (to_artifact(given, SPECS, "nchw"), from_artifact(given, SPECS, "nchw")):
        assert all(result[name] is given[name] for name in given)


def test_nhwc_moves_every_element_to_its_place() -> None:
    given = values()
    moved = to_artifact(given, SPECS, "nhwc")
    image = given["image"]
    expected = [
        image[n, c, y, x] for n in range(2) for y in range(5) for x in range(7) for c in range(3)
    ]
    assert moved["image"].shape == (2, 5, 7, 3)
    # In memory too: runtimes read the bytes.
    assert moved["image"].flags.c_contiguous
    assert np.frombuffer(moved["image"].tobytes(), image.dtype).tolist() == expected
    assert moved["scores"] is given["scores"]
    assert moved["video"] is given["video"]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_back_and_forth(layout: Layout) -> None:
    given = values()
    back = from_artifact(to_artifact(given, SPECS, layout), SPECS, layout)
    assert list(back) == list(given)
    for name, value in given.items():
        assert np.array_equal(back[name], value)
        assert back[name].flags.c_contiguous
