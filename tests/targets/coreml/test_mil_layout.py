"""Reshaping, joining, splitting and slicing of MIL against torch in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mil_checks import check_case, evaluate_cases, mb

LAYOUT = {
    "concat": (lambda x: mb.concat(values=[x, x], axis=-1), lambda x: torch.cat([x, x], -1)),
    "concat interleave": (
        lambda x: mb.concat(values=[x, mb.square(x=x)], axis=1, interleave=True),
        lambda x: torch.stack([x, x * x], 2).flatten(1, 2),
    ),
    "expand_dims": (
        lambda x: mb.expand_dims(x=mb.reduce_mean(x=x, axes=[1, 3]), axes=[-1, 0]),
        lambda x: x.mean((1, 3))[None, ..., None],
    ),
    "flatten2d": (lambda x: mb.flatten2d(x=x, axis=2), lambda x: x.reshape(12, 35)),
    "reshape": (lambda x: mb.reshape(x=x, shape=[0, 3, -1, 10]), lambda x: x.reshape(2, 3, 7, 10)),
    "reverse none": (lambda x: mb.reverse(x=x, axes=np.zeros(0, np.int32)), lambda x: x),
    "reverse": (lambda x: mb.reverse(x=x, axes=[1, -1]), lambda x: x.flip(1, 3)),
    "slice_by_index": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, -5, 6, 2],
            end=[0, -1, 0, 0],
            stride=[1, 2, -3, 1],
            begin_mask=[True, False, False, False],
            end_mask=[True, False, False, False],
            squeeze_mask=[False, False, False, True],
        ),
        lambda x: x[:, -5:-1:2][:, :, [6, 3], 2],
    ),
    "slice_by_index masked": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, 2, 0, 0],
            end=[2, 0, 7, 5],
            begin_mask=[False, True, False, False],
            squeeze_mask=[False, True, False, False],
        ),
        lambda x: x[:, 0],
    ),
    "slice_by_size": (
        lambda x: mb.slice_by_size(x=x, begin=[0, -3, 1, 2], size=[2, 2, -1, 1]),
        lambda x: x[:, 3:5, 1:, 2:3],
    ),
    "split": (lambda x: mb.split(x=x, axis=1, num_splits=3), lambda x: x.split(2, 1)),
    "split sizes": (
        lambda x: mb.split(x=x, axis=-1, split_sizes=[1, 4]),
        lambda x: x.split([1, 4], -1),
    ),
    "squeeze": (
        lambda x: mb.squeeze(x=mb.reduce_mean(x=x, axes=[1, 2], keep_dims=True), axes=[1]),
        lambda x: x.mean((1, 2)).unsqueeze(1),
    ),
    "stack": (lambda x: mb.stack(values=[x, x], axis=2), lambda x: torch.stack([x, x], 2)),
    "tile": (lambda x: mb.tile(x=x, reps=[1, 2, 1, 3]), lambda x: x.repeat(1, 2, 1, 3)),
    "transpose": (lambda x: mb.transpose(x=x, perm=[0, 3, -3, 2]), lambda x: x.permute(0, 3, 1, 2)),
}
BLOCKS = {
    "depth_to_space": (
        lambda image: mb.depth_to_space(x=image, block_size=2),
        # Block-major: channel b·C + c goes to offset b of channel c.
        lambda x: F.pixel_shuffle(x.reshape(1, 4, 2, 6, 4).transpose(1, 2).flatten(1, 2), 2),
    ),
    "space_to_depth": (
        lambda image: mb.space_to_depth(x=image, block_size=2),
        lambda x: F.pixel_unshuffle(x, 2).reshape(1, 8, 4, 3, 2).transpose(1, 2).flatten(1, 2),
    ),
    "pixel_shuffle": (
        lambda image: mb.pixel_shuffle(x=image, upscale_factor=2),
        lambda x: F.pixel_shuffle(x, 2),
    ),
    "pixel_unshuffle": (
        lambda image: mb.pixel_unshuffle(x=image, downscale_factor=np.uint32(2)),
        lambda x: F.pixel_unshuffle(x, 2),
    ),
}
CASES = {**LAYOUT, **BLOCKS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "layout.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
