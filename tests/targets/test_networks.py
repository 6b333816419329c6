"""Whole networks through every format: proven by the job itself, and once more from outside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from families import FAMILIES
from torch import nn

from cnn_export import Artifact, export
from cnn_export.job.quiet import quiet
from cnn_export.proof.splitmix64 import uniform
from cnn_export.targets import TARGETS, load_target

SIZE = (96, 64)
# Two bytes and the graph. XNNPACK's serializer keeps the weights of convolutions in float32 when
# the arithmetic is float16, so a .pte only halves its fully connected layers.
FP16_BYTES_PER_WEIGHT = {"onnx": 2.5, "tflite": 2.5, "coreml": 2.5, "executorch": 3.9}


Exported = Callable[..., tuple[nn.Module, Artifact]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Return a network and its artifact for a target; one job makes those of every target."""

    @functools.cache
    def job(
        name: str, size: tuple[int, int], settings: tuple[tuple[str, str], ...]
    ) -> tuple[nn.Module, dict[str, Artifact]]:
        torch.manual_seed(1)
        module = networks.seeded(_Renamed(FAMILIES[name]()))
        shapes = {"image": (1, 3, *size)}
        folder = tmp_path_factory.mktemp(name)
        done = export(module, list(TARGETS), output=folder, shapes=shapes, **dict(settings))
        return module, {each.manifest.target: each for each in done.artifacts}

    def of(
        name: str, target: str, size: tuple[int, int] = SIZE, **settings: str
    ) -> tuple[nn.Module, Artifact]:
        module, artifacts = job(name, size, tuple(settings.items()))
        return module, artifacts[target]

    return of


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
@pytest.mark.parametrize("name", list(FAMILIES))
def test_network(name: str, target: str, exported: Exported) -> None:
    module, artifact = exported(name, target)
    assert outside_check(module, target, artifact.path, (1, 3, *SIZE)) < 1e-5


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "skipnet"])
def test_network_in_half_precision(name: str, target: str, exported: Exported) -> None:
    module, artifact = exported(name, target, precision="fp16")
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
def test_dynamic_batch(target: str, batch: int, exported: Exported) -> None:
    module, artifact = exported("mobilenet_v3_small", target, (64, 32), batch="dynamic")
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
