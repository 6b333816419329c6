"""Files of timm and torchvision are found by fingerprint, and their networks still compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cnn_export.errors import CheckpointError, TargetUnavailable
from cnn_export.models.registry import Shapes
from cnn_export.source import load_model
from cnn_export.source.contents.matching import shapes_of
from cnn_export.source.networks import fingerprint_index
from cnn_export.source.networks.building import build_empty
from cnn_export.source.networks.fingerprint_index import Ends, indexed, networks_with
from cnn_export.source.networks.timm_models import create
from cnn_export.source.networks.torchvision_families import FAMILIES

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "official"))
import official_files

LARGEST_INDEX = 300_000


def _shapes(name: str, **arguments: Any) -> Shapes:
    return shapes_of(build_empty(create, {"name": name, **arguments}).state_dict())


@pytest.mark.parametrize(
    "name",
    [
        *("mobilenetv4_conv_small", "starnet_s1", "efficientvit_b0", "fastvit_t8"),
        *("mobilenetv1_100", "repvit_m0_9", "repghostnet_050", "ghostnetv2_100", "hrnet_w18"),
    ],
)
def test_timm_networks_are_found_for_any_classes_and_channels(name: str) -> None:
    assert networks_with("timm", _shapes(name, num_classes=7)) == (name,)
    assert networks_with("timm", _shapes(name, in_chans=1)) == (name,)


def test_merged_branches_are_found() -> None:
    assert networks_with("timm", _shapes("repvgg_a0", reparameterized=True)) == ("repvgg_a0",)


def test_networks_of_the_same_tensors_are_all_found() -> None:
    found = networks_with("timm", _shapes("efficientnet_lite0"))
    assert set(found) == {"efficientnet_lite0", "tf_efficientnet_lite0"}


def test_another_shape_or_name_is_not_found() -> None:
    shapes = dict(_shapes("starnet_s1"))
    assert networks_with("timm", {**shapes, "more": (1,)}) == ()
    assert networks_with("timm", {**shapes, "norm.weight": (191,)}) == ()
    counters = {k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")}
    assert networks_with("timm", counters) == ("starnet_s1",)


def test_torchvision_networks_of_fixed_width_are_all_listed() -> None:
    fixed = {name for f in FAMILIES if not f.absent for name in f.names if name not in f.widths}
    groups = indexed("torchvision").values()
    listed = [
        n for group in groups for _, by_shape in group for ns in by_shape.values() for n in ns
    ]
    assert sorted(listed) == sorted(fixed)


def test_indices_are_small() -> None:
    folder = Path(fingerprint_index.__file__).parent
    sizes = [file.stat().st_size for file in folder.glob("*_index.json")]
    assert len(sizes) == 2
    assert sum(sizes) < LARGEST_INDEX


def test_an_index_written_is_read_again(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fingerprint_index, "_FOLDER", tmp_path)
    shapes, other = {"a.weight": (3, 4), "b": (2,)}, {"a.weight": (3, 5), "b": (2,)}
    networks = {"one": (shapes, Ends(("a",), ())), "two": (other, Ends(("a",), ()))}
    fingerprint_index.written("test", "1", networks)
    assert networks_with("test", {"a.weight": (9, 4), "b": (2,)}) == ("one",)
    assert networks_with("test", {"a.weight": (9, 5), "b": (2,)}) == ("two",)
    assert networks_with("test", {"a.weight": (9, 5), "b": (3,)}) == ()


@pytest.fixture(scope="module")
def lite(tmp_path_factory) -> dict[str, torch.Tensor]:
    return official_files.trained_like(
        {
            k: v
            for k, v in _shapes("efficientnet_lite0", num_classes=3).items()
            if "batches" not in k
        }
    )


def _load(content: Any, folder: Path) -> Any:
    torch.save(content, folder / "file.pth")
    return load_model(folder / "file.pth")


def test_what_tensors_cannot_tell_is_asked(lite, tmp_path: Path) -> None:
    both = r"--model timm:efficientnet_lite0 or --model timm:tf_efficientnet_lite0"
    with pytest.raises(CheckpointError, match=both):
        _load(lite, tmp_path)


def test_a_recorded_name_decides(lite, tmp_path: Path) -> None:
    loaded = _load({"arch": "tf_efficientnet_lite0", "state_dict": lite}, tmp_path)
    assert loaded.name == "timm:tf_efficientnet_lite0"
    assert loaded.arguments == {"num_classes": 3}


def test_a_file_alone_is_recognised(tmp_path: Path) -> None:
    loaded = load_model(official_files.write_checkpoint("repghost", tmp_path))
    assert loaded.name == "timm:repghostnet_100"


def test_without_timm_the_network_and_its_install_line_are_given(tmp_path, monkeypatch) -> None:
    def missing(extra: str, packages: list[str]) -> dict[str, str]:
        raise TargetUnavailable(f"{packages[0]} is not installed; run: pip")

    monkeypatch.setattr("cnn_export.source.networks.timm_models.require", missing)
    file = official_files.write_checkpoint("hw_ghost", tmp_path)
    with pytest.raises(TargetUnavailable, match=r"those of timm:ghostnet_100: timm is not inst"):
        load_model(file)
