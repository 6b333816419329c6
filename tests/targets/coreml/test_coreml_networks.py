"""Whole networks through Core ML, evaluated from disk, against the torch network in float64."""

import copy
import shutil

import numpy as np
import pytest
import torch
import torchvision
from families import FAMILIES
from torch import nn

from cnn_export.program.program import capture
from cnn_export.targets.coreml.saved_program import read_program
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.options import TargetOptions

FP32_ERROR = 1e-5  # of the output's RMS
FP16_ERROR = 1e-2
HEIGHT, WIDTH = 96, 64


def randomize_batch_norm(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.6, 1.6)
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    return network.eval()


def export(network, inputs, path, **options):
    CoreML().export(capture(network, inputs), TargetOptions(**options), path)
    return path


def relative_error(got, network, x):
    with torch.inference_mode():
        wanted = copy.deepcopy(network).double()(x.double()).numpy()
    assert got.dtype == np.float32
    assert got.shape == wanted.shape
    return np.abs(got - wanted).max() / np.sqrt(np.mean(wanted**2))


NAMES = ["mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "resnet18"]
NETWORKS = {name: FAMILIES[name] for name in NAMES}
NETWORKS["squeezenet1_1"] = torchvision.models.squeezenet1_1


@pytest.fixture(scope="module", params=list(NETWORKS))
def captured(request):
    """A network with its program, traced once for both precisions."""
    torch.manual_seed(3)
    network = randomize_batch_norm(NETWORKS[request.param]())
    x = torch.randn(1, 3, HEIGHT, WIDTH)
    return network, capture(network, (x,)), x


def test_network_in_float32(captured, tmp_path):
    network, program, x = captured
    path = tmp_path / "net.mlpackage"
    CoreML().export(program, TargetOptions(), path)
    got = CoreML().load(path)({"x": x.numpy()})["output"]
    assert relative_error(got, network, x) < FP32_ERROR


def test_network_in_float16(captured, tmp_path):
    network, program, x = captured
    path = tmp_path / "net.mlpackage"
    CoreML().export(program, TargetOptions(precision="fp16"), path)
    got = CoreML().load(path)({"x": x.numpy()})["output"]
    error = relative_error(got, network, x)
    assert FP32_ERROR < error < FP16_ERROR  # below, the package would compute in float32
    values = [value for op in read_program(path).operations for value in op.outputs]
    assert sum(value.dtype == torch.float16 for value in values) >= len(values) - 1


class SmallNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(6), nn.Hardswish()
        )
        self.head = nn.Linear(6, 5)

    def forward(self, image):
        return self.head(self.features(image).mean((2, 3)))


@pytest.fixture
def small_net():
    torch.manual_seed(4)
    return randomize_batch_norm(SmallNet())


def test_damaged_weight_changes_the_result(small_net, tmp_path):
    x = torch.randn(1, 3, 9, 7)
    path = export(small_net, (x,), tmp_path / "net.mlpackage")
    before = CoreML().load(path)({"image": x.numpy()})["output"]
    weights = path / "Data/com.apple.CoreML/weights/weight.bin"
    data = bytearray(weights.read_bytes())
    conv = small_net.features[0].weight.shape
    stored = next(
        c for c in read_program(path).constants.values() if getattr(c, "shape", 0) == conv
    )
    place = data.find(stored.numpy().tobytes())
    assert place > 0
    data[place : place + 4] = np.float32(stored.flatten()[0] + 1).tobytes()
    weights.write_bytes(data)
    after = CoreML().load(path)({"image": x.numpy()})["output"]
    assert np.abs(after - before).max() > 1e-3


def test_dynamic_batch(small_net, tmp_path):
    program = capture(small_net, (torch.randn(1, 3, 9, 7),), dynamic_batch=True)
    CoreML().export(program, TargetOptions(), tmp_path / "net.mlpackage")
    session = CoreML().load(tmp_path / "net.mlpackage")
    for batch in (1, 2, 64):
        x = torch.randn(batch, 3, 9, 7)
        assert relative_error(session({"image": x.numpy()})["output"], small_net, x) < FP32_ERROR


def test_package_can_move(small_net, tmp_path):
    x = torch.randn(1, 3, 9, 7)
    export(small_net, (x,), tmp_path / "net.mlpackage")
    moved = shutil.move(tmp_path / "net.mlpackage", tmp_path / "other.mlpackage")
    got = CoreML().load(tmp_path / moved)({"image": x.numpy()})["output"]
    assert relative_error(got, small_net, x) < FP32_ERROR


@pytest.mark.parametrize("deployment", ["iOS15", "macOS14", "iOS18"])
def test_deployment_target(small_net, deployment, tmp_path):
    x = torch.randn(1, 3, 9, 7)
    path = export(small_net, (x,), tmp_path / "n.mlpackage", minimum_deployment_target=deployment)
    got = CoreML().load(path)({"image": x.numpy()})["output"]
    assert relative_error(got, small_net, x) < FP32_ERROR
