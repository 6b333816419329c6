"""No family takes another's checkpoint for its own, nor wants long to say so."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any

import official_files
import pytest

from cnn_export.models.key_map import key_maps
from cnn_export.models.registry import architectures

NAMES = sorted(file.stem for file in (official_files.FOLDER / "keys").glob("*.json"))
FAMILIES = {
    "acnet_cfqk": "acnet_cfqk",
    "acnet_cfqk_plain": "acnet_cfqk",
    "acnet_res18": "acnet_resnet",
    "acnet_res18_dep": "acnet_resnet",
    "acnet_vgg": "acnet_vgg",
    "cifar_densenet": "cifar_densenet",
    "cifar_mbv1": "cifar_mobilenet",
    "cifar_mbv2": "cifar_mobilenet_v2",
    "cifar_preact": "cifar_preact_resnet",
    "cifar_resnet18": "cifar_resnet",
    "cifar_resnext": "cifar_resnext",
    "cifar_senet18": "cifar_senet",
    "cifar_shv2": "cifar_shufflenet_v2",
    "cifar_vgg11": "cifar_vgg",
    "dbb_mobilenet": "dbb_mobilenet",
    "dbb_mobilenet_deploy": "dbb_mobilenet",
    "dbb_res18": "dbb_resnet",
    "dbb_res18_deploy": "dbb_resnet",
    "dli_mbv3l": "mobilenetv3_large",
    "dli_mbv3s": "mobilenetv3_small",
    "eff_dense_bc": "densenet_bc",
    "mf_kath": "mobile_former",
    "mf_kath_151": "mobile_former",
    "oct_mb": "oct_mobilenet",
    "oct_r26": "oct_resnet",
    "pcv_sqnxt": "squeezenext",
    "pcv_sqnxt_v5": "squeezenext",
    "repvgg_a0": "repvgg",
    "repvgg_b1g2_deploy": "repvgg",
    "repvgg_d2se": "repvgg",
    "senet_r20": "se_resnet",
    "senet_r50": "se_resnet",
    "shv1": "shufflenet_v1",
    "shv1_g8": "shufflenet_v1",
    "shv2": "shufflenet_v2",
    "shv2plus": "shufflenet_v2_plus",
}
"""The family whose names a file has; the others are torchvision's or timm's, by a map or as is."""


@pytest.mark.parametrize("name", NAMES)
def test_its_family_alone_takes_a_file_for_its_own(name: str) -> None:
    listed = official_files.keys(name).tensors
    shapes = {tensor.removeprefix("module."): shape for tensor, shape in listed.items()}
    detectors = {a.name: a.detect for a in architectures().values()}
    claimed = [family for family, detect in detectors.items() if detect(shapes) is not None]
    assert claimed == ([FAMILIES[name]] if name in FAMILIES else [])
    start = time.process_time()
    for family, detect in detectors.items():
        if family not in claimed:
            detect(shapes)
    assert time.process_time() - start < 0.002 * len(detectors)


SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (0, 0, 0, 0), (1,), (-1,), (3, 3))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_or_of_another_rank_throws_nowhere(name: str) -> None:
    """Every tensor that a detector or map looks at is dropped once, and has an odd shape once."""
    whole = {k.removeprefix("module."): s for k, s in official_files.keys(name).tensors.items()}
    watched = Watched(whole)
    _ask_all(watched)
    for tensor in sorted(watched.asked):
        less = {k: s for k, s in whole.items() if k != tensor}
        odd = SHAPES[zlib.crc32(tensor.encode()) % len(SHAPES)]
        _ask_all(less)
        _ask_all({**whole, tensor: odd})


class Watched(dict[str, tuple[int, ...]]):
    """Shapes that remember which of them were looked up by name."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(shapes)
        self.asked = set[str]()

    def get(self, name: str, default: Any = None) -> Any:  # type: ignore[override]
        if name in self.keys():
            self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> tuple[int, ...]:
        self.asked.add(name)
        return super().__getitem__(name)


def _ask_all(shapes: Mapping[str, tuple[int, ...]]) -> None:
    for architecture in architectures().values():
        architecture.detect(shapes)
    for key_map in key_maps():
        tuple(key_map.detect(shapes))
