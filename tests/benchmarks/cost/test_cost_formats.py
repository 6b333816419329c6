"""Networks: the four formats agree, and with published and counted totals.

The shipped SkipNet is compared in ``test_own_gate.py``, whole networks with published totals here.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import networks
import pytest
import torch
import torchvision
from cost_networks import lowered, read_cost, with_random_biases
from executorch.exir._serialize._program import deserialize_pte_binary
from families import FAMILIES
from flatbuffers import encode, number_types
from flatbuffers.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.artifact_files.executorch.reader import ExecuTorchFile
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.explanation import UNEXPLAINED, explain
from cnn_export.models.families.skipnet import skipnet
from cnn_export.targets import TARGETS

SIZE = (96, 64)


NETWORKS = {
    "mobilenet_v2": FAMILIES["mobilenet_v2"],
    "mobilenet_v3": FAMILIES["mobilenet_v3_small"],
    "resnet": FAMILIES["resnet18"],
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def costs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[nn.Module, Path, dict[str, ArtifactCost]]:
    """A network, the folder of its artifacts, and their costs."""
    torch.manual_seed(1)
    module = with_random_biases(NETWORKS[request.param]())
    folder = tmp_path_factory.mktemp(request.param)
    return (
        module,
        folder,
        {target: read_cost(lowered(module, target, folder, (1, 3, *SIZE))) for target in TARGETS},
    )


def test_macs_are_torchs_in_every_format(costs) -> None:
    module, _, by_target = costs
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.randn(1, 3, *SIZE))
    expected = counter.get_total_flops() // 2
    assert {target: cost.macs for target, cost in by_target.items()} == dict.fromkeys(
        TARGETS, expected
    )


def test_every_byte_of_difference_has_a_cause(costs) -> None:
    _, _, by_target = costs
    for cost in by_target.values():
        parts = explain(by_target["onnx"], cost)
        assert sum(p.mac_bytes for p in parts) == cost.mac_bytes - by_target["onnx"].mac_bytes
        assert UNEXPLAINED not in {part.cause for part in parts}


def test_weights_are_the_same_bytes_in_every_format(costs) -> None:
    _, _, by_target = costs
    causes = {
        part.cause for cost in by_target.values() for part in explain(by_target["onnx"], cost)
    }
    assert "stored weights and biases" not in causes
    assert "width of elements" not in causes


def test_explain_does_not_explain_another_network(costs) -> None:
    _, _, by_target = costs
    onnx, other = by_target["onnx"], by_target["coreml"]
    last = max(i for i, op in enumerate(other.ops) if op.category == "contraction")
    shorter = dataclasses.replace(other, ops=[*other.ops[:last], *other.ops[last + 1 :]])
    assert UNEXPLAINED in {part.cause for part in explain(onnx, shorter)}


def vendors_partitions(path: Path) -> tuple[int, int, Counter[str]]:
    """Return delegate calls, nodes inside them and kernel calls, with ExecuTorch's own reader."""
    program = deserialize_pte_binary(path.read_bytes()).program
    (plan,) = (plan for plan in program.execution_plan if plan.name == "forward")
    calls = [call.instr_args for chain in plan.chains for call in chain.instructions]
    kinds = [type(call).__name__ for call in calls]
    operators = [plan.operators[c.op_index] for c in calls if type(c).__name__ == "KernelCall"]
    payloads = [
        bytes(program.backend_delegate_data[delegate.processed.index].data)
        for delegate in plan.delegates
    ]
    names = Counter(f"{op.name}.{op.overload}".rstrip(".") for op in operators)
    return kinds.count("DelegateCall"), sum(map(nodes, payloads)), names


def nodes(payload: bytes) -> int:
    """Return the length of ``xnodes``, the second field of ``XNNGraph``."""
    graph = bytearray(payload[int.from_bytes(payload[10:14], "little") :])
    root = encode.Get(number_types.UOffsetTFlags.packer_type, graph, 0)
    table = Table(graph, root)
    return table.VectorLen(table.Offset(6))


def found_partitions(path: Path) -> tuple[int, int, Counter[str]]:
    found = ExecuTorchFile(path).partitions()
    return found.partitions, found.delegated_ops, Counter({o.op: o.count for o in found.outside})


def test_partitions_are_what_executorchs_own_reader_finds(costs) -> None:
    _, folder, by_target = costs
    path, cost = folder / "network.pte", by_target["executorch"]
    assert found_partitions(path) == vendors_partitions(path)
    partitions, delegated, outside = vendors_partitions(path)
    assert cost.partitions == partitions
    assert sum(op.partition is not None for op in cost.ops) == delegated
    assert Counter(op.kind for op in cost.ops if op.partition is None) == outside
    assert {by_target[t].partitions for t in TARGETS if t != "executorch"} == {0}


class SizeArithmetic(nn.Module):
    """With a dynamic batch, kernels that read and give numbers alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0] * 3, -1).relu().sin()


def test_kernels_on_numbers_are_outside_too(tmp_path: Path) -> None:
    path = lowered(SizeArithmetic(), "executorch", tmp_path, (16, 3, 4, 5), batch=True)
    found = found_partitions(path)
    assert found == vendors_partitions(path)
    assert "executorch_prim::mul.Scalar" in found[2]


PUBLISHED_MILLIONS = {
    "mobilenet_v2": (torchvision.models.mobilenet_v2, 300.77),
    "resnet18": (torchvision.models.resnet18, 1814.07),
    "skipnet": (skipnet, 236.6),
}


@pytest.mark.parametrize("name", list(PUBLISHED_MILLIONS))
def test_totals_are_the_published_ones(name: str, tmp_path: Path) -> None:
    build, millions = PUBLISHED_MILLIONS[name]
    cost = read_cost(lowered(build(), "onnx", tmp_path, (1, 3, 224, 224)))
    assert cost.macs is not None
    assert cost.macs / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.parametrize("target", list(TARGETS))
def test_dynamic_batch_costs_one_image(target: str, tmp_path: Path) -> None:
    module = networks.small_net()
    (tmp_path / "fixed").mkdir()
    fixed = read_cost(lowered(module, target, tmp_path / "fixed", (1, 3, 15, 22)))
    dynamic = read_cost(lowered(module, target, tmp_path, (1, 3, 15, 22), batch=True))
    assert dynamic.batch == 1
    assert dynamic.macs == fixed.macs
    assert not {part.cause for part in explain(fixed, dynamic)} & {UNEXPLAINED, "explicit padding"}
    assert dynamic.peak_activation_bytes == fixed.peak_activation_bytes
