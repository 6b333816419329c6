"""Events joined with costs: by names, by order, or not at all."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.profiles.alignment import align, compatible
from cnn_export.benchmarks.profiles.joining import UNJOINED, fused_bytes, joined, sum_ns
from cnn_export.benchmarks.profiles.readers.onnx_regions import regions
from cnn_export.benchmarks.profiles.readers.onnxruntime_trace import covered, split_runs
from cnn_export.benchmarks.profiles.trace import Event, Trace, transposed

IGEMM = "Convolution (NHWC, F32) IGEMM"
DENSE = "Fully Connected (NC, F32) GEMM"


def op(name: str, kind: str, category: Any, macs: int | None = 0, **sizes: int) -> OpCost:
    found = {"input_bytes": 100, "weight_bytes": 0, "output_bytes": 40} | sizes
    return OpCost(name, kind, category, macs, *found.values(), 1, "float32")


def cost(ops: list[OpCost]) -> ArtifactCost:
    return ArtifactCost("n", "tflite", 1, ops, 0, 0, None)


FILE = [
    op("t", "TRANSPOSE", "layout"),
    op("p", "PAD", "padding"),
    op("c1", "CONV_2D", "contraction", 500),
    op("h", "HARD_SWISH", "activation"),
    op("c2", "CONV_2D", "contraction", 700),
    op("r", "RELU", "activation"),
    op("v", "RESHAPE", "view", 0, input_bytes=0, output_bytes=0),
    op("f", "FULLY_CONNECTED", "contraction", 30),
]


def test_order_and_kind_tell_which_operator_an_event_is() -> None:
    events = ["Transpose (ND, X32)", IGEMM, "HardSwish (NC)", DENSE, DENSE]
    assert align(events, FILE) == [("t",), ("p", "c1"), ("h",), ("c2", "r"), ("f",)]


def test_an_event_that_is_not_in_the_file_covers_nothing() -> None:
    events = ["Copy (NC)", IGEMM, "HardSwish (NC)", DENSE, "Convert (NC)", DENSE]
    found = align(events, FILE)
    assert found is not None
    assert (found[0], found[4]) == ((), ())
    assert [names for names in found if "c2" in names] == [("c2", "r")]


@pytest.mark.parametrize("events", [[IGEMM, DENSE], [IGEMM, DENSE, DENSE, DENSE], []])
def test_a_missing_or_surplus_contraction_forbids_the_join(events: list[str]) -> None:
    assert align(events, FILE) is None


def test_kinds_of_kernels_match_by_name() -> None:
    assert compatible("SPACE_TO_DEPTH", op("s", "SPACE_TO_DEPTH", "layout"))
    assert not compatible("Add (ND)", op("m", "MUL", "elementwise"))


def test_fused_operators_do_not_move_what_passes_between_them() -> None:
    conv = op("c", "CONV_2D", "contraction", 1, input_bytes=100, weight_bytes=20, output_bytes=40)
    # The sum reads the convolution's 40 and a shortcut's 40, and writes 40.
    add = op("a", "ADD", "elementwise", input_bytes=80, output_bytes=40)
    assert fused_bytes([conv]) == 160
    assert fused_bytes([conv, add]) == 100 + 20 + 40 + 40


def _trace(covers: tuple[tuple[str, ...] | None, ...]) -> Trace:
    samples = ((1000, 3000, 2000), (6000, 6000, 6000))
    events = tuple(Event(f"e{i}", (IGEMM, DENSE)[i], samples[i], covers[i]) for i in range(2))
    return Trace(events, (9000, 10_000, 11_000), ())


def test_joined_has_medians_shares_and_rates_by_hand() -> None:
    ops, untimed, notes = joined(_trace((("c1", "h"), ("c2",))), cost(FILE))
    assert [each.median_ns for each in ops] == [2000, 6000]
    assert [each.share for each in ops] == [0.25, 0.75]
    assert [each.macs for each in ops] == [500, 700]
    assert ops[1].mac_per_s == pytest.approx(700 / 6e-6)
    assert ops[1].bytes_per_s == pytest.approx(140 / 6e-6)
    assert untimed == ["t", "p", "r", "f"]
    assert notes == []
    assert sum_ns(_trace((None, None))) == 8000


def test_unknown_macs_stay_unknown() -> None:
    unknown = [op("x", "Custom", "unknown", None), op("c2", "Conv", "contraction", 5)]
    ops, _, _ = joined(_trace((("x", "c2"), ())), cost(unknown))
    assert ops[0].macs is None
    assert ops[0].mac_bytes is not None
    assert (ops[1].macs, ops[1].mac_bytes) == (None, None)


def test_a_join_by_order_that_fails_is_said() -> None:
    ops, untimed, notes = joined(_trace((None, None)), cost(FILE))
    assert notes == [UNJOINED]
    assert {each.macs for each in ops} == {None}
    assert "c1" in untimed


def test_inferences_must_run_the_same_operators() -> None:
    assert transposed([[("a", "k", 1)], [("a", "k", 3)]])[0].samples_ns == (1, 3)
    with pytest.raises(ValueError, match="2 different"):
        transposed([[("a", "k", 1)], [("b", "k", 3)]])
    with pytest.raises(ValueError, match="0 different"):
        transposed([])


def _graph(nodes: list[Any]) -> onnx.ModelProto:
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], []))


def test_regions_of_fused_and_reordered_nodes() -> None:
    make = onnx.helper.make_node
    original = _graph(
        [
            make("Conv", ["x", "w"], ["c"], name="conv"),
            make("Relu", ["c"], ["r"], name="relu"),
            make("Conv", ["r", "w2"], ["d"], name="conv2"),
            make("Add", ["r", "d"], ["s"], name="add"),
            make("HardSwish", ["s"], ["h"], name="hs"),
        ]
    )
    optimized = _graph(
        [
            make("Conv", ["x", "w_"], ["t1"], name="r_nchwc"),
            make("Conv", ["t1", "w2_", "t1"], ["t2"], name="d_nchwc"),
            make("ReorderOutput", ["t2"], ["s"], name="ReorderOutput"),
            make("HardSigmoid", ["s"], ["inlined"]),
            make("Mul", ["s", "inlined"], ["h"]),
        ]
    )
    names = {index: node.name for index, node in enumerate(original.graph.node)}
    found = regions(optimized, original, names)
    assert [region.covers for region in found] == [
        ("conv", "relu"),
        ("conv2", "add"),
        (),
        (),
        ("hs",),
    ]
    events = [
        Event("r_nchwc", "Conv", (1,)),
        Event("d_nchwc", "Conv", (1,)),
        Event("Mul_217", "Mul", (1,)),
    ]
    assert [event.covers for event in covered(events, found)] == [
        ("conv", "relu"),
        ("conv2", "add"),
        ("hs",),
    ]


def test_a_removed_node_belongs_to_one_region_only() -> None:
    make = onnx.helper.make_node
    original = _graph(
        [
            make("Identity", ["x"], ["y"], name="same"),
            make("Relu", ["y"], ["a"], name="relu"),
            make("Sigmoid", ["y"], ["b"], name="sigmoid"),
        ]
    )
    optimized = _graph(
        [make("Relu", ["x"], ["a"], name="relu"), make("Sigmoid", ["x"], ["b"], name="sigmoid")]
    )
    found = regions(optimized, original, {0: "same", 1: "relu", 2: "sigmoid"})
    assert [region.covers for region in found] == [("same", "relu"), ("sigmoid",)]


def test_a_fused_sum_and_activation_belong_to_the_convolution_before() -> None:
    make = onnx.helper.make_node
    original = _graph(
        [
            make("Conv", ["x", "w"], ["c"], name="conv"),
            make("Add", ["c", "x"], ["s"], name="add"),
            make("Relu", ["s"], ["r"], name="relu"),
            make("Conv", ["r", "w2"], ["d"], name="next"),
        ]
    )
    first = make("Conv", ["x", "w_", "b_", "x"], ["t1"], name="c_nchwc", activation="Relu")
    optimized = _graph([first, make("Conv", ["t1", "w2_", "b2_"], ["d"], name="d")])
    found = regions(optimized, original, {0: "conv", 1: "add", 2: "relu", 3: "next"})
    assert [region.covers for region in found] == [("conv", "add", "relu"), ("next",)]


def test_onnxruntime_events_are_split_at_the_runs() -> None:
    node = {"cat": "Node", "args": {"op_name": "Conv"}, "name": "a_kernel_time"}
    end = {"cat": "Session", "name": "model_run", "dur": 9}
    start = {"cat": "Session", "name": "session_initialization", "dur": 5}
    found = split_runs([start, node | {"dur": 3}, end, node | {"dur": 4}, end])
    assert found == [[("a", "Conv", 3000)], [("a", "Conv", 4000)]]
    with pytest.raises(ValueError, match="no inference"):
        split_runs([start])
