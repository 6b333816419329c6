"""Bytes and peak memory of graphs small enough to add up by hand."""

from __future__ import annotations

import cProfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.artifact_files.op_graph import Op, OpGraph, Tensor
from cnn_export.benchmarks.cost.accounting import account
from cnn_export.benchmarks.cost.artifact_cost import ordered
from cnn_export.benchmarks.cost.explanation import explain
from cnn_export.errors import InputRefused


def graph(ops: list[Op], tensors: list[Tensor], outputs: str) -> OpGraph:
    return OpGraph("test", {t.name: t for t in tensors}, tuple(ops), ("x",), (outputs,))


def tensor(name: str, elements: int, dtype: str = "int8", *, constant: bool = False) -> Tensor:
    return Tensor(name, (1, elements), dtype, constant)


def op(kind: str, reads: str, writes: str, category: str = "elementwise", macs: int | None = 0):
    return Op(writes, kind, category, tuple(reads), tuple(writes), macs)


def test_peak_is_what_lives_at_once_beside_a_shortcut() -> None:
    sizes = {"x": 10, "a": 100, "b": 30, "c": 30, "y": 5}
    ops = [op("up", "x", "a"), op("down", "a", "b"), op("same", "b", "c"), op("add", "cx", "y")]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    # x stays alive for the last operator: 10 + 100 + 30 while "down" runs.
    assert (cost.peak_activation_bytes, cost.peak_at) == (140, "b")


def test_view_keeps_memory_alive_and_takes_none() -> None:
    sizes = {"x": 50, "v": 50, "a": 7, "y": 5}
    ops = [op("reshape", "x", "v", "view"), op("pool", "x", "a"), op("mul", "va", "y")]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert cost.peak_activation_bytes == 50 + 7 + 5
    assert cost.ops[0].mac_bytes == 0
    assert cost.mac_bytes == (50 + 7) + (50 + 7 + 5)


def test_output_lives_to_the_end_and_an_input_to_its_last_use() -> None:
    sizes = {"x": 10, "y": 40, "a": 30, "b": 50}
    ops = [op("head", "x", "y"), op("one", "x", "a"), op("two", "a", "b")]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert cost.peak_activation_bytes == 40 + 30 + 50


def test_result_that_nobody_reads_is_freed() -> None:
    sizes = {"x": 1, "a": 100, "b": 100, "y": 1}
    ops = [op("one", "x", "a"), op("two", "x", "b"), op("three", "x", "y")]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert cost.peak_activation_bytes == 101


def test_constants_are_folded_once_and_read_in_their_widened_dtype() -> None:
    tensors = [
        tensor("x", 8, "float32"),
        tensor("h", 6, "float16", constant=True),
        tensor("w", 6, "float32"),
        tensor("y", 4, "float32"),
    ]
    ops = [op("DEQUANTIZE", "h", "w", "conversion"), op("FC", "xw", "y", "contraction", 24)]
    cost = account(graph(ops, tensors, "y"), "test")
    assert [each.mac_bytes for each in cost.ops] == [0, 32 + 24 + 16]
    assert cost.ops[1].weight_bytes == 24
    assert cost.weight_bytes == 12, "what is stored stays two bytes an element"
    assert cost.macs == 24


def test_slice_reads_what_it_writes_and_a_square_reads_once() -> None:
    sizes = {"x": 100, "s": 20, "y": 20}
    ops = [op("slice", "x", "s", "window"), op("mul", "ss", "y")]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert [each.input_bytes for each in cost.ops] == [20, 20]
    assert cost.mac_bytes == 40 + 40


@pytest.mark.parametrize(
    ("dtype", "nbytes"),
    [("int4", 3), ("int8", 5), ("float16", 10), ("float32", 20), ("int64", 40)],
)
def test_bytes_are_those_of_the_dtype(dtype: str, nbytes: int) -> None:
    assert Tensor("t", (5,), dtype).nbytes == nbytes


@pytest.mark.parametrize(
    "shape_and_dtype", [((2**21, 2**21), "int8"), ((3, -2), "int8"), ((1,), "string")]
)
def test_tensors_no_runtime_could_hold_are_refused(shape_and_dtype) -> None:
    with pytest.raises(InputRefused, match="'huge'"):
        Tensor("huge", *shape_and_dtype)


def test_unknown_operator_makes_the_total_unknown_but_its_bytes_count() -> None:
    sizes = {"x": 10, "a": 10, "y": 10}
    ops = [op("conv", "x", "a", "contraction", 100), op("Strange", "a", "y", "unknown", None)]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert (cost.macs, cost.counted_macs, cost.unknown_ops) == (None, 100, ["Strange"])
    assert cost.mac_bytes == 40
    assert cost.arithmetic_intensity is None


def test_order_is_by_size_with_the_unknown_first() -> None:
    sizes = {"x": 10, "a": 10, "b": 10, "y": 10}
    ops = [
        op("small", "x", "a", "contraction", 1),
        op("large", "a", "b", "contraction", 9),
        op("Strange", "b", "y", "unknown", None),
    ]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert [o.kind for o in ordered(cost, "macs").ops] == ["Strange", "large", "small"]
    assert [o.kind for o in ordered(cost, None).ops] == ["small", "large", "Strange"]


def test_results_that_are_cropped_are_explained() -> None:
    sizes = {"x": 10, "a": 40, "b": 30, "y": 5}
    ops = [
        op("deconv", "x", "a", "contraction", 7),
        op("slice", "a", "b", "window"),
        op("conv", "b", "y", "contraction", 9),
    ]
    cropped = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    ops = [op("deconv", "x", "b", "contraction", 7), ops[2]]
    whole = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert {part.cause: part.mac_bytes for part in explain(whole, cropped)} == {
        "explicit cropping": 10,
        "copies and slices": 60,
    }


def test_results_of_which_all_is_read_are_not_cropped() -> None:
    sizes = {"x": 10, "a": 40, "b": 30, "y": 5}
    ops = [
        op("deconv", "x", "a", "contraction", 7),
        op("slice", "a", "b", "window"),
        op("add", "ab", "y"),
    ]
    cost = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert cost.cropped_write_bytes == 0


def test_a_pool_of_single_elements_is_explained() -> None:
    sizes = {"x": 10, "a": 8, "b": 8, "y": 5}
    ops = [
        op("conv", "x", "a", "contraction", 7),
        op("mean", "a", "b", "pool"),
        op("fc", "b", "y", "contraction", 9),
    ]
    pooled = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    ops = [op("conv", "x", "b", "contraction", 7), ops[2]]
    plain = account(graph(ops, [tensor(*each) for each in sizes.items()], "y"), "test")
    assert [(part.cause, part.mac_bytes) for part in explain(plain, pooled)] == [
        ("pools that keep the size", 16)
    ]


def test_a_name_that_nothing_describes_is_refused() -> None:
    with pytest.raises(InputRefused, match="'z' is used"):
        graph([op("relu", "z", "y")], [tensor("x", 1), tensor("y", 1)], "y")
    with pytest.raises(InputRefused, match="'q' is used"):
        graph([op("relu", "x", "y")], [tensor("x", 1), tensor("y", 1)], "q")


def _peak_step_by_step(found: OpGraph) -> int:
    """The definition, literally: what is needed around every operator, views looked through."""
    owner: dict[str, str] = {}
    for each in found.ops:
        if each.category == "view":
            owner[each.outputs[0]] = owner.get(each.inputs[0], each.inputs[0])

    def size_of(keys: set[str]) -> int:
        owners = {owner.get(key, key) for key in keys}
        return sum(found.tensors[key].nbytes for key in owners if not found.tensors[key].constant)

    peak = size_of(set(found.inputs))
    for index, each in enumerate(found.ops):
        made = set(found.inputs).union(*(o.outputs for o in found.ops[:index]))
        later = set(found.outputs).union(*(o.inputs for o in found.ops[index:]))
        needed = {owner.get(key, key) for key in later}
        alive = {key for key in made if owner.get(key, key) in needed}
        peak = max(peak, size_of(alive | set(each.inputs) | set(each.outputs)))
    return peak


@st.composite
def graphs(draw: st.DrawFn) -> OpGraph:
    """Operators that read one or two earlier values, some of them constants or views."""
    sizes = draw(st.lists(st.integers(1, 50), min_size=3, max_size=9))
    tensors = [tensor("x", sizes[0]), tensor("w", 5, constant=True)]
    ops: list[Op] = []
    for index, size in enumerate(sizes[1:]):
        names = st.sampled_from([t.name for t in tensors if t.name != "w"])
        source = draw(names)
        view = draw(st.booleans()) and draw(st.booleans())
        reads = (
            (source,) if view else (source, draw(names), *(["w"] if draw(st.booleans()) else []))
        )
        name = f"t{index}"
        elements = next(t.elements for t in tensors if t.name == source) if view else size
        ops.append(Op(name, "k", "view" if view else "elementwise", reads, (name,)))
        tensors.append(tensor(name, elements))
    return OpGraph("test", {t.name: t for t in tensors}, tuple(ops), ("x",), (tensors[-1].name,))


@given(graphs())
def test_peak_is_what_a_literal_reading_of_its_definition_finds(found: OpGraph) -> None:
    assert account(found, "test").peak_activation_bytes == _peak_step_by_step(found)


def test_time_is_linear_in_the_operators() -> None:
    """Counted as Python's own calls, which no other process disturbs."""

    def calls(count: int) -> int:
        names = [f"t{index}" for index in range(count + 1)]
        ops = [Op(b, "k", "elementwise", (a,), (b,)) for a, b in pairwise(names)]
        tensors = {name: tensor(name, 3) for name in names}
        found = OpGraph("test", tensors, tuple(ops), (names[0],), (names[-1],))
        profile = cProfile.Profile()
        profile.runcall(account, found, "test")
        return sum(entry.callcount for entry in profile.getstats())

    few, many = calls(300), calls(3000)
    assert many < 10.5 * few
