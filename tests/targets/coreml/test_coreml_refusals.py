"""What the Core ML target refuses, and how it says so."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.command_line import packages
from cnn_export.errors import InputRefused, OperatorRefused, TargetUnavailable, UsageError
from cnn_export.program.program import capture
from cnn_export.targets.coreml import conversion, target
from cnn_export.targets.coreml.operators import registry
from cnn_export.targets.coreml.target import DEPLOYMENT_TARGETS, CoreML
from cnn_export.targets.coreml.vendor import coremltools
from cnn_export.targets.options import TargetOptions

X = torch.randn(1, 3, 9, 7)


def export(module, inputs, path, **options):
    CoreML().export(capture(module, inputs), TargetOptions(**options), path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "nhwc"}, "layout"),
        ({"opset": 17}, "opset"),
        ({"ir_version": 9}, "ir-version"),
        ({"minimum_deployment_target": "ios16"}, "'iOS16'"),
        ({"minimum_deployment_target": "iOS14"}, "iOS15 or later"),
    ],
)
def test_options_of_other_formats(options, message):
    with pytest.raises(UsageError, match=message):
        CoreML().refuse_options(TargetOptions(**options))


def test_own_options_pass():
    for name in (None, *DEPLOYMENT_TARGETS):
        options = TargetOptions(minimum_deployment_target=name, image_input=True)
        assert CoreML().refuse_options(options) is None


def test_deployment_targets_are_those_of_coremltools():
    target = coremltools().target
    ml_programs = {name for name, member in target.__members__.items() if member >= target.iOS15}
    assert set(DEPLOYMENT_TARGETS) == ml_programs


class Exotic(nn.Module):
    """Holds operators that coremltools has no conversion for."""

    def forward(self, x):
        y = torch.special.i0(x)
        return torch.special.i0(torch.relu(y)) + torch.igamma(y, y)


def test_refusals_name_operator_node_and_source():
    refusals = CoreML().refusals(capture(Exotic(), (X,)), TargetOptions())
    assert [refusal.op for refusal in refusals] == ["aten.i0.default", "aten.igamma.default"]
    source = Path(refusals[0].source.rsplit(":", 1)[0])
    assert source.name == Path(__file__).name
    line = int(refusals[0].source.rsplit(":", 1)[1])
    assert "special.i0(x)" in Path(__file__).read_text().splitlines()[line - 1]


def test_refusals_of_a_convertible_program_are_none():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Hardswish(), nn.Flatten())
    assert CoreML().refusals(capture(network, (X,)), TargetOptions()) == []


def test_unknown_operator_is_refused_at_export(tmp_path):
    with pytest.raises(OperatorRefused, match=r"aten\.i0.*; aten\.igamma"):
        export(Exotic(), (X,), tmp_path / "no.mlpackage")
    assert not list(tmp_path.iterdir())


def test_operator_with_an_unsupported_argument_is_named(tmp_path):
    class Divisor(nn.Module):
        def forward(self, x):
            return nn.functional.avg_pool2d(x, 2, divisor_override=3)

    with pytest.raises(OperatorRefused, match=r"avg_pool2d .*divisor_override") as caught:
        export(Divisor(), (X,), tmp_path / "no.mlpackage")
    assert "\n" not in str(caught.value)
    assert Path(__file__).name in str(caught.value)


def test_mil_op_without_a_kernel_is_refused_at_export_and_load(tmp_path, monkeypatch):
    path = tmp_path / "gelu.mlpackage"
    export(nn.GELU(), (X,), path)
    monkeypatch.delitem(registry.KERNELS, "gelu")
    with pytest.raises(OperatorRefused, match="cannot be verified here: gelu"):
        export(nn.GELU(), (X,), tmp_path / "again.mlpackage")
    with pytest.raises(OperatorRefused, match="does not know: gelu"):
        CoreML().load(path)
    assert not (tmp_path / "again.mlpackage").exists()


def test_missing_package_names_the_install_line(monkeypatch):
    def missing(name):
        raise packages.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages.metadata, "version", missing)
    with pytest.raises(TargetUnavailable, match=r"not installed; run: pip install .*\[coreml\]"):
        CoreML().versions()


def test_versions_are_those_installed():
    assert CoreML().versions() == {"coremltools": coremltools().__version__}


def test_runtime_is_named_honestly():
    evaluator = sys.platform != "darwin"
    assert ("evaluator" in CoreML().runtime) == evaluator == (not target._ON_MACOS)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("session") / "relu.mlpackage"
    export(nn.ReLU(), (X,), path)
    return CoreML().load(path)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": X.numpy()}, r"takes \['input'\]"),
        ({"input": X.numpy(), "more": X.numpy()}, "more"),
        ({"input": X.numpy()[:, :2]}, r"shape \(1, 2, 9, 7\)"),
        ({"input": X.numpy()[0]}, r"shape \(3, 9, 7\)"),
        ({"input": X.numpy().astype(np.int32)}, "int32"),
    ],
)
def test_session_refuses_wrong_inputs(session, inputs, message):
    with pytest.raises(InputRefused, match=message):
        session(inputs)


def test_batch_outside_the_range_is_refused(tmp_path):
    program = capture(nn.Conv2d(3, 4, 3), (X,), dynamic_batch=True)
    CoreML().export(program, TargetOptions(), tmp_path / "batch.mlpackage")
    session = CoreML().load(tmp_path / "batch.mlpackage")
    with pytest.raises(InputRefused, match=r"1\.\.64"):
        session({"input": np.zeros((65, 3, 9, 7), np.float32)})


def test_specialised_batch_is_refused(tmp_path, monkeypatch):
    program = capture(nn.Conv2d(3, 4, 3), (X,), dynamic_batch=True)
    monkeypatch.setattr(conversion, "BATCH_MAX", 128)
    with pytest.raises(OperatorRefused, match="did not stay dynamic"):
        CoreML().export(program, TargetOptions(), tmp_path / "batch.mlpackage")
