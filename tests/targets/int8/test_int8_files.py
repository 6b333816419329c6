"""Int8 files of three formats: one partition, loaded, run, and equal to their emulation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnn_export.errors import OperatorRefused, UsageError
from cnn_export.job.legalization import legalize
from cnn_export.program.program import Program, capture
from cnn_export.quantization.decision import Decision, TensorScale
from cnn_export.quantization.emulation.emulate import emulate
from cnn_export.quantization.emulation.onnx_runtime import ONNX_RUNTIME
from cnn_export.quantization.emulation.xnnpack import XNNPACK
from cnn_export.quantization.insertion.quantized_graph import Border, quantized_graph
from cnn_export.quantization.scheme.decide import decide
from cnn_export.quantization.scheme.observation.observe import observe
from cnn_export.reparam import reparameterize_graph
from cnn_export.targets import load_target
from cnn_export.targets.legalizations import INT8
from cnn_export.targets.options import TargetOptions

ARITHMETICS = {"tflite": XNNPACK, "onnx": ONNX_RUNTIME, "executorch": XNNPACK}
TARGETS = tuple(ARITHMETICS)
OPTIONS = TargetOptions(precision="int8", metadata={"cnn_export.told": "kept"})
SHAPE = (1, 3, 22, 27)


class _Mixed(nn.Module):
    """What the mobile families have: padded strides, a gate, hard-swish, a sum, pools, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.down, self.up = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.wide = nn.Conv2d(8, 12, (3, 1))
        self.head = nn.Linear(12, 5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu6(self.stem(image)), 3, 1, 1)
        y = F.hardswish(self.depthwise(x))
        gate = F.hardsigmoid(self.up(F.relu(self.down(y.mean((2, 3), keepdim=True)))))
        x = F.avg_pool2d(x + y * gate, 2, 2)
        return self.head(self.wide(x).mean((2, 3)))


@pytest.fixture(scope="module")
def program() -> Program:
    torch.manual_seed(5)
    program = capture(networks.seeded(_Mixed()), (torch.randn(SHAPE),))
    reparameterize_graph(program.graph_module)
    return legalize(program, {"all": INT8}, "int8")["all"].program


@pytest.fixture(scope="module")
def decision(program: Program) -> Decision:
    torch.manual_seed(6)
    images = [(torch.randn(SHAPE),) for _ in range(40)]
    return decide(program.graph_module, observe(program.graph_module, lambda: images))


@pytest.fixture(scope="module")
def files(
    program: Program, decision: Decision, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("int8")
    made: dict[tuple[str, str], Path] = {}
    for name in TARGETS:
        borders: tuple[Border, ...] = ("float", "int8", "uint8")
        for border in borders:
            target = load_target(name)
            path = folder / f"{border}{target.suffix}"
            quantized = _quantized(program, decision, name, border)
            target.export(quantized, OPTIONS, path)
            made[name, border] = path
    return made


def _quantized(program: Program, decision: Decision, name: str, border: Border) -> Program:
    spelling = load_target(name).spelling
    graph = quantized_graph(program.graph_module, decision, spelling, io=border)
    return program.with_graph(graph)


def _output_scale(program: Program, decision: Decision) -> TensorScale:
    (output,) = program.graph_module.graph.output_node().all_input_nodes
    return decision.tensors[output.name]


def _image(seed: int) -> np.ndarray[Any, Any]:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).numpy()


def _steps(decision: Decision, program: Program, image: Any, border: str) -> Any:
    scale = decision.tensors[program.inputs[0].name]
    steps = np.rint(image / np.float32(scale.scale)) + scale.zero_point
    steps = np.clip(steps, -128, 127) + (128 if border == "uint8" else 0)
    return steps.astype(border)


@pytest.mark.parametrize("name", TARGETS)
def test_one_partition_takes_all(name: str, files: dict[tuple[str, str], Path]) -> None:
    report = load_target(name).partitions(files[name, "float"])
    assert report.partitions == 1
    assert report.outside == ()


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_computes_what_is_emulated(
    name: str, program: Program, decision: Decision, files: dict[tuple[str, str], Path]
) -> None:
    run = load_target(name).load(files[name, "float"])
    graph = _quantized(program, decision, name, "float").graph_module
    for seed in (11, 12, 13):
        image = _image(seed)
        (actual,) = run({"image": image}).values()
        assert actual.dtype == np.float32
        (expected,) = emulate(graph, (torch.from_numpy(image),), ARITHMETICS[name])
        np.testing.assert_array_equal(actual, expected.numpy())
        with torch.no_grad():
            exact = program.graph_module(torch.from_numpy(image))[0].numpy()
        assert np.square(actual - exact).mean() < 0.01 * np.square(exact).mean()


@pytest.mark.parametrize("border", ["int8", "uint8"])
@pytest.mark.parametrize("name", TARGETS)
def test_integers_go_in_and_come_out(
    name: str,
    border: str,
    program: Program,
    decision: Decision,
    files: dict[tuple[str, str], Path],
) -> None:
    target, image = load_target(name), _image(14)
    (floats,) = target.load(files[name, "float"])({"image": image}).values()
    steps = _steps(decision, program, image, border)
    results = target.load(files[name, border])({"image": steps})
    assert list(results) == ["output"]
    assert results["output"].dtype == border
    scale = _output_scale(program, decision)
    offset = scale.zero_point + (128 if border == "uint8" else 0)
    real = (results["output"].astype(np.float32) - offset) * np.float32(scale.scale)
    np.testing.assert_array_equal(real, floats)


OUTSIDE = {
    "tflite": {"QUANTIZE": 2},
    "onnx": {},
    "executorch": {"_to_dim_order_copy.out": 6, "add.out": 2},
}
"""What moves zero points between uint8 and int8: XNNPACK has int8 only."""


@pytest.mark.parametrize("name", TARGETS)
def test_of_uint8_only_the_border_is_outside(name: str, files: dict[tuple[str, str], Path]) -> None:
    report = load_target(name).partitions(files[name, "uint8"])
    assert report.partitions == 1
    outside = {each.op.rpartition("::")[2]: each.count for each in report.outside}
    assert outside == OUTSIDE[name]


@pytest.mark.parametrize("name", TARGETS)
def test_bytes_are_the_same_again(
    name: str,
    program: Program,
    decision: Decision,
    files: dict[tuple[str, str], Path],
    tmp_path: Path,
) -> None:
    again = tmp_path / "again"
    load_target(name).export(_quantized(program, decision, name, "float"), OPTIONS, again)
    assert again.read_bytes() == files[name, "float"].read_bytes()
    assert b"cnn_export.told" in again.read_bytes()


@pytest.mark.parametrize("name", TARGETS)
def test_floats_are_not_called_int8(name: str, program: Program, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precision int8 takes a quantized network"):
        load_target(name).export(program, OPTIONS, tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_tflite_keeps_in_floats_what_xnnpack_takes_in_floats_only(
    files: dict[tuple[str, str], Path],
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = str(files["tflite", "float"])
    interpreter: Any = Interpreter(
        model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    types = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    found = Counter(
        (each["op_name"], types[each["inputs"][0]].__name__)
        for each in interpreter._get_ops_details()
    )
    assert found["HARD_SWISH", "float32"] == 1
    assert found["MEAN", "float32"] == 2
    assert found["CONV_2D", "int8"] == 4
    integers = {name for name, kind in found if kind == "int8"}
    assert not integers & {"HARD_SWISH", "MEAN", "RELU_0_TO_1", "AVERAGE_POOL_2D"}
    assert ("CONV_2D", "float32") not in found


class _Waves(nn.Module):
    """The two operators that fences are made of; one output that is returned twice."""

    def __init__(self, *waves: Any) -> None:
        super().__init__()
        self.layer, self.last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)
        self.waves = waves

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.layer(image)
        y = self.last(sum(wave(x) for wave in self.waves))
        return y, y


def _waves(*waves: Any) -> tuple[Program, Decision]:
    torch.manual_seed(7)
    program = capture(_Waves(*waves).eval(), (torch.randn(SHAPE),))
    images = [(torch.randn(SHAPE),) for _ in range(8)]
    return program, decide(program.graph_module, observe(program.graph_module, lambda: images))


@pytest.mark.parametrize("border", ["float", "int8", "uint8"])
def test_tflite_takes_out_fences_and_nothing_else(border: Border, tmp_path: Path) -> None:
    program, decision = _waves(torch.sin)
    target, path = load_target("tflite"), tmp_path / "waves.tflite"
    quantized = _quantized(program, decision, "tflite", border)
    target.export(quantized, OPTIONS, path)
    image = torch.from_numpy(_image(15))
    given = _steps(decision, program, image.numpy(), border) if border != "float" else image.numpy()
    results = target.load(path)({"image": given})
    expected = emulate(quantized.graph_module, (torch.from_numpy(given),), XNNPACK)
    for spec, value in zip(quantized.outputs, expected, strict=True):
        np.testing.assert_array_equal(results[spec.name], value.numpy())


def test_tflite_has_no_fence_for_a_network_of_all_that_could_be_one(tmp_path: Path) -> None:
    program, decision = _waves(torch.sin, torch.cos)
    quantized = _quantized(program, decision, "tflite", "float")
    with pytest.raises(OperatorRefused, match="sin and cos"):
        load_target("tflite").export(quantized, OPTIONS, tmp_path / "waves.tflite")


class _Indexed(nn.Module):
    """A layer, and a row of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.table = nn.Conv2d(3, 4, 3), nn.Embedding(7, 4)

    def forward(self, image: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return self.layer(image).mean((2, 3)) + self.table(index)


def test_tflite_takes_64_bit_indices_beside_integers(tmp_path: Path) -> None:
    torch.manual_seed(8)
    given = (torch.randn(SHAPE), torch.tensor([3]))
    program = capture(_Indexed().eval(), given)
    decision = decide(program.graph_module, observe(program.graph_module, lambda: [given] * 4))
    quantized, path = _quantized(program, decision, "tflite", "float"), tmp_path / "indexed.tflite"
    target = load_target("tflite")
    target.export(quantized, OPTIONS, path)
    for index in (0, 5):
        inputs = (given[0], torch.tensor([index]))
        (actual,) = target.load(path)(
            {"image": inputs[0].numpy(), "index": inputs[1].numpy()}
        ).values()
        (expected,) = emulate(quantized.graph_module, inputs, XNNPACK)
        np.testing.assert_array_equal(actual, expected.numpy())
