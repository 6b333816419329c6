"""SSDLite against torchvision's own boxes, decoding and suppression, and exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.models.mobilenetv2 import MobileNetV2

import cnn_export
from cnn_export.errors import CheckpointError, UsageError
from cnn_export.models.parts.feature_taps import feature_taps
from cnn_export.models.registry import architectures
from cnn_export.models.ssdlite import SSDLite, detections, ssdlite
from cnn_export.models.ssdlite.anchors import default_boxes
from cnn_export.source.checkpoint import load_model

SIZE = (96, 128)
MAPS = [(12, 16), (6, 8), (3, 4), (2, 2), (1, 1)]


def _disturb(network: torch.nn.Module) -> torch.nn.Module:
    """Give every batch norm statistics that are not the identity."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


def _small_backbone() -> torch.nn.Module:
    blocks = [[1, 16, 1, 1], [6, 24, 1, 2], [6, 32, 1, 2], [6, 48, 1, 2], [6, 64, 1, 2]]
    return MobileNetV2(5, 0.5, inverted_residual_setting=blocks)


def _detector() -> SSDLite:
    torch.manual_seed(5)
    detector = SSDLite(_small_backbone(), 7, input_size=SIZE, extra_channels=(64, 32))
    _disturb(detector)
    return detector


def _theirs() -> DefaultBoxGenerator:
    return DefaultBoxGenerator([[2, 3] for _ in MAPS], min_ratio=0.2, max_ratio=0.95)


def _their_boxes() -> torch.Tensor:
    images = ImageList(torch.zeros(1, 3, *SIZE), [SIZE])
    corners = _theirs()(images, [torch.zeros(1, 1, *size) for size in MAPS])[0]
    sides = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    return corners / sides


def test_default_boxes_are_torchvisions() -> None:
    ours = default_boxes(MAPS)
    corners = torch.cat([ours[:, :2] - ours[:, 2:] / 2, ours[:, :2] + ours[:, 2:] / 2], 1)
    torch.testing.assert_close(corners, _their_boxes(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("maps", "scales"), [(MAPS[:1], (0.2, 0.9)), (MAPS, (0.9, 0.2))])
def test_boxes_that_make_no_sense_are_refused(
    maps: list[tuple[int, int]], scales: tuple[float, float]
) -> None:
    with pytest.raises(ValueError, match="two or more maps and growing scales"):
        default_boxes(maps, scales)


def test_suppression_is_torchvisions() -> None:
    generator = torch.Generator().manual_seed(2)
    anchors = default_boxes(MAPS)
    offsets = torch.randn(len(anchors), 4, generator=generator)
    logits = 3 * torch.randn(len(anchors), 7, generator=generator)
    ours = detections(offsets, logits, anchors)
    head = torch.nn.Conv2d(1, 1, 1)  # a head of ours would only be built, not called
    theirs = SSD(
        torch.nn.Identity(),
        _theirs(),
        SIZE,
        7,
        head=head,
        score_thresh=0.02,
        nms_thresh=0.55,
        detections_per_img=100,
        topk_candidates=len(anchors),
    )
    sides = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]])
    outputs = {"bbox_regression": offsets[None], "cls_logits": logits[None]}
    expected = theirs.postprocess_detections(outputs, [_their_boxes() * sides], [SIZE])[0]
    assert len(ours.scores) == 100
    torch.testing.assert_close(ours.scores, expected["scores"])
    torch.testing.assert_close(ours.classes, expected["labels"])
    torch.testing.assert_close(ours.boxes * sides, expected["boxes"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("target", ["tflite", "onnx"])
def test_detector_exports_whole_with_its_default_boxes(target: str, tmp_path: Path) -> None:
    detector = _detector()
    result = cnn_export.export(
        detector, target=target, output=tmp_path, example_inputs=(torch.zeros(1, 3, *SIZE),)
    )
    manifest = result.artifacts[0].manifest
    boxes = 6 * sum(height * width for height, width in MAPS)
    assert [each.shape for each in manifest.outputs] == [[1, boxes, 4], [1, boxes, 7], [boxes, 4]]
    assert manifest.partitions is not None
    assert manifest.partitions.partitions == 1
    assert not manifest.partitions.outside


def test_maps_are_what_the_modules_return() -> None:
    backbone = _disturb(_small_backbone())
    taps = feature_taps(backbone, input_size=SIZE)
    image = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = taps(image)
        prefix, expected = image, []
        for layer in backbone.get_submodule("features").children():
            prefix = layer(prefix)
            expected.append(prefix)
    assert [tap.stride for tap in taps.taps] == [4, 8, 16, 32]
    assert [tap.channels for tap in taps.taps] == [each.shape[1] for each in maps]
    for each in maps:
        assert any(each is not None and torch.equal(each, other) for other in expected)


_STRIDES = {"squeezenext": (8, 16, 32)}
"""Its stem pads one pixel beside a kernel of seven: maps of stride 4 are a pixel short."""


def _on_photographs() -> list[str]:
    """Families for small pictures (CIFAR) reduce by four or eight in all."""
    return sorted(n for n, each in architectures().items() if each.input_size[1] > 64)


@pytest.mark.parametrize("family", _on_photographs())
def test_every_family_has_maps_at_strides_to_32(family: str) -> None:
    architecture = architectures()[family]
    arguments = dict.fromkeys(architecture.unrecorded, 1)
    with torch.device("meta"):
        network = architecture.build(**arguments)
    wanted = _STRIDES.get(family, (4, 8, 16, 32))
    strides = [tap.stride for tap in feature_taps(network, wanted, input_size=(224, 288)).taps]
    assert strides == list(wanted)


def test_a_stride_that_is_not_there_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"no feature map of stride 64 at 96x128; it has \[1, 2, 4,"
    ):
        feature_taps(_small_backbone(), (8, 64), input_size=SIZE)


def test_building_on_a_family_by_name() -> None:
    detector = ssdlite("skipnet", classes=3, image_height=128, image_width=96)
    assert [tap.channels for tap in detector.backbone.taps] == [40, 112, 960]
    with pytest.raises(ValueError, match="no network 'skipnot' to build on; there are acnet"):
        ssdlite("skipnot")


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="built for images of 96x128, got 96x96"):
        _detector()(torch.zeros(1, 3, 96, 96))


def _saved(folder: Path) -> Path:
    torch.manual_seed(4)
    detector = ssdlite("mobilenext", 3, 64, 96, width=0.35, identity_tensor_multiplier="1/2")
    path = folder / "detector.pt"
    torch.save(_disturb(detector).state_dict(), path)
    return path


def _load(path: Path, **arguments: str) -> torch.nn.Module:
    given = {
        "backbone": "mobilenext",
        "classes": "3",
        "image_width": "96",
        "width": "0.35",
        **arguments,
    }
    return load_model(path, model="cnn_export.models.ssdlite:ssdlite", model_args=given).module


def test_what_a_saved_detector_does_not_show_has_to_be_said(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    with pytest.raises(UsageError, match="mobilenext needs identity_tensor_multiplier"):
        _load(path, image_height="64")
    with pytest.raises(CheckpointError, match="anchors_64x96"):
        _load(path, image_height="96", identity_tensor_multiplier="1/2")


def test_looking_for_maps_leaves_frozen_layers_frozen() -> None:
    backbone = _small_backbone().train()
    frozen = backbone.get_submodule("features.1.conv.1")
    frozen.eval()
    feature_taps(backbone, input_size=SIZE)
    assert backbone.training
    assert not frozen.training


def test_a_detector_without_a_class_is_refused() -> None:
    with pytest.raises(ValueError, match="a background and a class, got 1"):
        SSDLite(_small_backbone(), 1, input_size=SIZE)
