"""Resizing, cropping and padding of MIL against torch in float64."""

import pytest
import torch.nn.functional as F
from mil_checks import check_case, evaluate_cases, mb


def resized(**arguments):
    return lambda x: F.interpolate(x, **arguments)


RESIZES = {
    "crop": (
        lambda x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]),
        lambda x: x[:, :, 1:5, :2],
    ),
    "upsample_nearest_neighbor": (
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
        resized(size=(14, 15), mode="nearest"),
    ),
    "resize_nearest_neighbor": (
        lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=9, target_size_width=4),
        resized(size=(9, 4), mode="nearest"),
    ),
    "upsample_bilinear corners": (
        lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3),
        resized(size=(14, 15), mode="bilinear", align_corners=True),
    ),
    "upsample_bilinear centres": (
        lambda x: mb.upsample_bilinear(
            x=x, scale_factor_height=2, scale_factor_width=3, align_corners=False
        ),
        resized(size=(14, 15), mode="bilinear", align_corners=False),
    ),
    "resize_bilinear corners": (
        lambda x: mb.resize_bilinear(
            x=x,
            target_size_height=10,
            target_size_width=4,
            sampling_mode="STRICT_ALIGN_CORNERS",
        ),
        resized(size=(10, 4), mode="bilinear", align_corners=True),
    ),
    "resize_bilinear unaligned": (
        lambda x: mb.resize_bilinear(
            x=x, target_size_height=10, target_size_width=4, sampling_mode="UNALIGN_CORNERS"
        ),
        resized(size=(10, 4), mode="bilinear", align_corners=False),
    ),
}
PADS = {
    "pad": (
        lambda x: mb.pad(x=x, pad=[1, 2, 0, 3], constant_val=0.5),
        lambda x: F.pad(x, (0, 3, 1, 2), value=0.5),
    ),
    "pad reflect": (
        lambda x: mb.pad(x=x, pad=[0, 0, 0, 0, 3, 2, 4, 1], mode="reflect"),
        lambda x: F.pad(x, (4, 1, 3, 2), mode="reflect"),
    ),
    "pad replicate": (
        lambda x: mb.pad(x=x, pad=[0, 0, 0, 0, 3, 2, 4, 1], mode="replicate"),
        lambda x: F.pad(x, (4, 1, 3, 2), mode="replicate"),
    ),
}
CASES = {**RESIZES, **PADS}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return evaluate_cases(CASES, tmp_path_factory.mktemp("mil") / "resizing.mlpackage")


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    check_case(CASES[name], results[name])
