"""Whole networks through every format: proven by the job itself, and once more from outside."""

from __future__ import annotations

from pathlib import Path

import networks
import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from cnn_export import export
from cnn_export.job.quiet import quiet
from cnn_export.models.skipnet import skipnet
from cnn_export.proof.splitmix64 import uniform
from cnn_export.targets import TARGETS, load_target

SIZE = (96, 64)
NETWORKS = {
    "mobilenet_v2": lambda: torchvision.models.mobilenet_v2(width_mult=0.35, num_classes=11),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=11),
    "shufflenet_v2_x0_5": lambda: torchvision.models.shufflenet_v2_x0_5(num_classes=11),
    "resnet18": lambda: torchvision.models.resnet18(num_classes=11),
    "skipnet": lambda: skipnet(width=0.25, classes=11),
}
# Two bytes and the graph. XNNPACK's serializer keeps the weights of convolutions in float32 when
# the arithmetic is float16, so a .pte only halves its fully connected layers.
FP16_BYTES_PER_WEIGHT = {"onnx": 2.5, "tflite": 2.5, "coreml": 2.5, "executorch": 3.9}


def outside_check(module: nn.Module, target: str, path: Path, shape: tuple[int, ...]) -> float:
    """Run the written file on an input the job never saw; return the error over the RMS."""
    image = torch.randn(*shape, generator=torch.Generator().manual_seed(99))
    with torch.no_grad():
        expected = module.double()(image.double()).numpy()
    module.float()
    with quiet():
        (actual,) = load_target(target).load(path)({"image": image.numpy()}).values()
    return float(np.abs(actual - expected).max() / np.sqrt(np.mean(expected**2)))


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", list(NETWORKS))
def test_network(name: str, target: str, out: Path) -> None:
    torch.manual_seed(1)
    module = networks.seeded(_Renamed(NETWORKS[name]()))
    artifact = export(module, target, output=out, shapes={"image": (1, 3, *SIZE)}).artifact
    assert outside_check(module, target, artifact.path, (1, 3, *SIZE)) < 1e-5


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "skipnet"])
def test_network_in_half_precision(name: str, target: str, out: Path) -> None:
    torch.manual_seed(2)
    module = networks.seeded(_Renamed(NETWORKS[name]()))
    shapes = {"image": (1, 3, *SIZE)}
    artifact = export(module, target, output=out, shapes=shapes, precision="fp16").artifact
    assert outside_check(module, target, artifact.path, (1, 3, *SIZE)) < 1e-2
    weights = sum(p.numel() for p in module.parameters())
    assert artifact.manifest.artifact_bytes < FP16_BYTES_PER_WEIGHT[target] * weights
    assert {t.dtype for t in artifact.manifest.inputs} == {"float32"}


@pytest.mark.parametrize("target", list(TARGETS))
def test_several_inputs_and_outputs(target: str, out: Path) -> None:
    module = networks.two_in_two_out()
    artifact = export(module, target, output=out, shapes=networks.TWO_SHAPES).artifact
    generator = torch.Generator().manual_seed(5)
    inputs = {n: torch.randn(*s, generator=generator) for n, s in networks.TWO_SHAPES.items()}
    with torch.no_grad():
        expected = module(**inputs)
    with quiet():
        actual = load_target(target).load(artifact.path)({n: t.numpy() for n, t in inputs.items()})
    assert list(expected) == [t.name for t in artifact.manifest.outputs]
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("batch", [1, 5])
def test_dynamic_batch(target: str, batch: int, out: Path) -> None:
    torch.manual_seed(6)
    module = networks.seeded(_Renamed(NETWORKS["mobilenet_v3_small"]()))
    shapes = {"image": (1, 3, 64, 32)}
    artifact = export(module, target, output=out, shapes=shapes, batch="dynamic").artifact
    assert artifact.manifest.inputs[0].shape == [-1, 3, 64, 32]
    assert outside_check(module, target, artifact.path, (batch, 3, 64, 32)) < 2e-5


def test_nhwc_has_no_transposes(out: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    module = networks.small_net()
    shapes = {"image": (1, 3, 13, 18)}
    artifact = export(module, "tflite", output=out, shapes=shapes, layout="nhwc").artifact
    with quiet():
        interpreter = Interpreter(model_path=str(artifact.path))
        interpreter.allocate_tensors()
    operators = {op["op_name"] for op in interpreter._get_ops_details()}
    assert "CONV_2D" in operators
    assert "TRANSPOSE" not in operators
    assert list(interpreter.get_input_details()[0]["shape"]) == [1, 13, 18, 3]
    assert artifact.manifest.inputs[0].layout == "nhwc"


def test_an_image_package_is_proven_on_whole_pixels(out: Path) -> None:
    module = networks.small_net()
    shapes = {"image": (1, 3, 12, 16)}
    artifact = export(module, "coreml", output=out, shapes=shapes, image_input=True).artifact
    manifest = artifact.manifest
    assert manifest.probe.kind == "pixel"
    pixels = np.floor(uniform(manifest.probe.seed, 3 * 12 * 16) * 256)
    with torch.no_grad():
        logits, _ = module.double()(torch.from_numpy(pixels.reshape(1, 3, 12, 16)).double())
    expected = manifest.probe.outputs[0]
    np.testing.assert_allclose(expected.values, logits.ravel()[:16].numpy(), rtol=1e-9)


class _Renamed(nn.Module):
    """Gives every network the same input name, which torchvision calls ``x``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.inner(image)
