"""Every published network under its authors' names is told by exactly one map, as that network."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cnn_export.models.key_map import Mapped, key_maps
from cnn_export.source.contents.matching import shapes_of
from cnn_export.source.networks.model_names import parse_source
from cnn_export.source.networks.timm_models import is_installed

sys.path.insert(0, str(Path(__file__).parent / "official"))
import authors_names

_ONE = "apple/ml-mobileone"
_VIT = "THU-MIG/RepViT"
_V3 = "huawei-noah/Efficient-AI-Backbones"
_DLI = "d-li14/mobilenetv2.pytorch"
_DENSE = ("torchvision's first DenseNet files", "gpleiss/efficient_densenet_pytorch")
_REPVIT = {
    "m0_9": (2, 2, 14, 2),
    "m1_0": (2, 2, 14, 2),
    "m1_1": (2, 2, 12, 2),
    "m1_5": (4, 4, 24, 4),
    "m2_3": (6, 6, 34, 2),
    "m1": (2, 2, 14, 2),
    "m2": (2, 2, 12, 2),
    "m3": (4, 4, 18, 2),
}
Case = tuple[str, str, Mapping[str, Any], tuple[int, ...]]
CASES: list[Case] = [
    (_DLI, "torchvision:mobilenet_v2", {}, ()),
    (_DLI, "torchvision:mobilenet_v2", {"width_mult": 0.1, "round_nearest": 4}, ()),
    *(
        (layout, f"torchvision:densenet{d}", {}, ())
        for d in (121, 161, 169, 201)
        for layout in _DENSE
    ),
    *((_ONE, f"timm:mobileone_s{size}", {}, ()) for size in range(5)),
    *((_V3, f"timm:ghostnetv3_{width}", {}, ()) for width in ("050", "100", "130", "160")),
    *((_VIT, f"timm:repvit_{name}", {}, depths) for name, depths in _REPVIT.items()),
]


@pytest.mark.parametrize(
    ("layout", "network", "arguments", "depths"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_a_variant_is_told(
    layout: str, network: str, arguments: Mapping[str, Any], depths: tuple[int, ...]
) -> None:
    if network.startswith("timm:") and not is_installed():
        pytest.skip("the network is timm's")
    candidate = parse_source(network).resolve({}).with_arguments(arguments)
    state = candidate.construct(empty=True).state_dict()
    own = shapes_of({k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
    theirs = authors_names.in_authors_names(layout, own, depths)
    told = [(m, found) for m in key_maps() for found in m.detect(theirs)]
    assert [(m.layout, found) for m, found in told] == [(layout, Mapped(network, arguments))]
    renamed = told[0][0].renamed(theirs)
    assert renamed is not None
    assert {renamed[name]: shape for name, shape in theirs.items()} == own
