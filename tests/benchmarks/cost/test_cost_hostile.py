"""Files made to harm: small ones that ask for all memory, names that lead elsewhere, pipes."""

from __future__ import annotations

import itertools
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import onnx
import pytest
from affine_artifact import write_onnx
from ai_edge_litert import schema_py_generated as tflite
from cost_networks import cost_here, save_onnx
from onnx import TensorProto, helper

from cnn_export.artifact_files.coreml.package import protos
from cnn_export.artifact_files.flatbuffers.schema import parse_schema
from cnn_export.artifact_files.flatbuffers.table import root_table
from cnn_export.artifact_files.formats import SUFFIXES
from cnn_export.artifact_files.read_limit import ReadLimit
from cnn_export.benchmarks.cli import main
from cnn_export.errors import InputRefused

MODEL = "com.apple.CoreML/model.mlmodel"
WEIGHTS = "com.apple.CoreML/weights/weight.bin"


def refusal(path: Path) -> str:
    with pytest.raises(InputRefused) as caught:
        cost_here(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def vector(builder: flatbuffers.Builder, count: int, value: int) -> int:
    """Append a vector of ``count`` times the same number, or the same offset if positive."""
    builder.StartVector(4, count, 4)
    for _ in range(count):
        if value > 0:
            builder.PrependUOffsetTRelative(value)
        else:
            builder.PrependInt32(0)
    return builder.EndVector()


def save_bomb(path: Path, operators: int, inputs: int) -> Path:
    """Write a TFLite file of one operator that stands there ``operators`` times."""
    builder = flatbuffers.Builder(1024)
    tflite.TensorStart(builder)
    tensor = tflite.TensorEnd(builder)
    read = vector(builder, inputs, 0)
    tflite.OperatorStart(builder)
    tflite.OperatorAddInputs(builder, read)
    tflite.OperatorAddOutputs(builder, read)
    operator = tflite.OperatorEnd(builder)
    operator_list = vector(builder, operators, operator)
    tensors, ends = vector(builder, 1, tensor), vector(builder, 1, 0)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    tflite.SubGraphAddInputs(builder, ends)
    tflite.SubGraphAddOutputs(builder, ends)
    tflite.SubGraphAddOperators(builder, operator_list)
    graphs = vector(builder, 1, tflite.SubGraphEnd(builder))
    tflite.OperatorCodeStart(builder)
    codes = vector(builder, 1, tflite.OperatorCodeEnd(builder))
    tflite.BufferStart(builder)
    buffers = vector(builder, 1, tflite.BufferEnd(builder))
    tflite.ModelStart(builder)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddBuffers(builder, buffers)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_tflite_operators_that_share_one_large_vector(tmp_path: Path) -> None:
    assert len(cost_here(save_bomb(tmp_path / "small.tflite", 10, 10)).ops) == 10
    bomb = save_bomb(tmp_path / "bomb.tflite", 20_000, 20_000)
    assert bomb.stat().st_size < 200_000
    assert "lie upon one another" in refusal(bomb)


def test_flatbuffers_that_share_one_large_vector() -> None:
    """As ExecuTorch's program would: a list of tables, each the same table with the same list."""
    schema = parse_schema(
        "table Outer { inner:[Inner]; } table Inner { sizes:[int]; name:string; }"
    )
    builder = flatbuffers.Builder(1024)
    sizes, name = vector(builder, 5000, 0), builder.CreateString("n" * 5000)
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, sizes, 0)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    inner = vector(builder, 5000, builder.EndObject())
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, inner, 0)
    builder.Finish(builder.EndObject())
    table = root_table(schema, "Outer", memoryview(bytes(builder.Output())))
    inside = table["inner"]
    assert len(inside) == 5000
    assert (len(inside[0]["sizes"]), len(inside[0]["name"])) == (5000, 5000)
    for field in ("sizes", "name"):
        with pytest.raises(ValueError, match="upon one another"):
            [each[field] for each in inside]


def test_an_honest_file_may_be_read_twice() -> None:
    limit = ReadLimit(1000)
    limit.take(2 * 1000)
    with pytest.raises(ValueError, match="upon one another"):
        limit.take(200_000)


def calling(calls: list[str], name: str) -> onnx.FunctionProto:
    nodes = [
        helper.make_node(call, [f"t{i}"], [f"t{i + 1}"], domain="" if call == "Relu" else "f")
        for i, call in enumerate(calls)
    ]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    return helper.make_function("f", name, ["t0"], [f"t{len(calls)}"], nodes, opsets)


def save_functions(path: Path, functions: list[onnx.FunctionProto]) -> Path:
    value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in ("x", "y")]
    call = helper.make_node(functions[0].name, ["x"], ["y"], domain="f")
    graph = helper.make_graph([call], "g", value[:1], value[1:])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10, functions=functions)
    onnx.save(model, str(path))
    return path


def test_onnx_functions_that_multiply_or_call_themselves(tmp_path: Path) -> None:
    def doubling(depth: int) -> list[onnx.FunctionProto]:
        inner = [calling([f"F{i + 1}", f"F{i + 1}"], f"F{i}") for i in range(depth)]
        return [*inner, calling(["Relu"], f"F{depth}")]

    path = save_functions(tmp_path / "m.onnx", doubling(5))
    assert cost_here(path).unknown_ops == ["f.F0"]
    # 2⁴⁰ nodes when every call is followed.
    assert "100000 operators" in refusal(save_functions(path, doubling(40)))
    loop = [calling(["B"], "A"), calling(["Relu", "A"], "B")]
    assert "calls itself" in refusal(save_functions(path, loop))
    alone = [calling(["A"], "A")]
    assert "calls itself" in refusal(save_functions(path, alone))


def test_onnx_function_calls_itself_inside_a_branch(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("b", TensorProto.FLOAT, [1, 4])
    call = helper.make_node("A", ["t0"], ["b"], domain="f")
    branch = helper.make_graph([call], "g", [], [value])
    node = helper.make_node("If", ["t0"], ["t1"], then_branch=branch, else_branch=branch)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("f", 1)]
    function = helper.make_function("f", "A", ["t0"], ["t1"], [node], opsets)
    assert "calls itself" in refusal(save_functions(tmp_path / "m.onnx", [function]))


def test_onnx_shape_arithmetic_that_doubles(tmp_path: Path) -> None:
    """Forty doublings of a shape: followed, they are 10¹² numbers."""
    nodes = [helper.make_node("Shape", ["x"], ["s0"])]
    nodes += [helper.make_node("Concat", [f"s{i}"] * 2, [f"s{i + 1}"], axis=0) for i in range(35)]
    nodes += [helper.make_node("Cast", ["s35"], ["y"], to=TensorProto.FLOAT)]
    path = save_onnx(tmp_path / "m.onnx", nodes, {"x": [1, 4]}, {"y": [2 * 2**35]})
    assert len(cost_here(path).ops) == 37


def test_onnx_shape_arithmetic_is_followed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Concat", ["s", "s"], ["twice"], axis=0),
        helper.make_node("Slice", ["twice", "one", "three"], ["middle"]),
        helper.make_node("Reshape", ["x", "middle"], ["y"]),
    ]
    numbers = {"one": np.array([1]), "three": np.array([3])}
    path = save_onnx(tmp_path / "m.onnx", nodes, {"x": [4, 1]}, {"y": ["a", "b"]}, numbers)
    assert cost_here(path).ops[-1].name == "Reshape_3"


def test_shapes_of_thousands_of_dimensions(tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx")
    model = onnx.load(tmp_path / "m.onnx")
    model.graph.initializer[0].dims.extend([2**60] * 5000)
    onnx.save(model, tmp_path / "m.onnx")
    assert "dimensions" in refusal(tmp_path / "m.onnx")


@pytest.mark.parametrize("place", ["../elsewhere.bin", "/etc/hostname", "folder", "a\0b", "link"])
def test_onnx_weights_outside_of_the_folder(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "elsewhere.bin").write_bytes(b"\0" * 1000)
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere.bin")
    write_onnx(folder / "m.onnx")
    model = onnx.load(folder / "m.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    refusal(folder / "m.onnx")


def save_package(path: Path, result: str = "y") -> Path:
    """Write an ML program that adds four stored numbers to four."""
    model = protos().Model()
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML7"
    described(function.inputs.add(), "x")
    block = function.block_specializations["CoreML7"]
    stored = block.operations.add(type="const")
    described(stored.outputs.add(), "w")
    value = stored.attributes["val"]
    value.type.CopyFrom(stored.outputs[0].type)
    value.blobFileValue.fileName, value.blobFileValue.offset = "@model_path/weights/weight.bin", 64
    sum_op = block.operations.add(type="add")
    for parameter, name in (("x", "x"), ("y", "w")):
        sum_op.inputs[parameter].arguments.add(name=name)
    described(sum_op.outputs.add(), "y")
    block.outputs.append(result)
    for part in (MODEL, WEIGHTS):
        (path / "Data" / part).parent.mkdir(parents=True, exist_ok=True)
    (path / "Data" / MODEL).write_bytes(model.SerializeToString())
    header = struct.pack("<IIQQ", 0xDEADBEEF, 1, 16, 128)
    (path / "Data" / WEIGHTS).write_bytes(b"\0" * 64 + header.ljust(64, b"\0") + b"\0" * 16)
    item = {"author": "com.apple.CoreML", "name": "model.mlmodel", "path": MODEL}
    manifest = {"rootModelIdentifier": "a", "itemInfoEntries": {"a": item}}
    (path / "Manifest.json").write_text(json.dumps(manifest))
    return path


def described(named, name: str) -> None:
    named.name = name
    named.type.tensorType.dataType = 11
    named.type.tensorType.rank = 1
    named.type.tensorType.dimensions.add().constant.size = 4


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return save_package(tmp_path / "m.mlpackage")


def test_the_package_itself_is_read(package: Path) -> None:
    cost = cost_here(package)
    assert (cost.macs, cost.weight_bytes, cost.mac_bytes) == (0, 16, 48)


@pytest.mark.parametrize("place", ["/dev/zero", "../../../../../../etc/passwd", "../Manifest.json"])
def test_core_ml_manifest_that_leads_elsewhere(package: Path, place: str) -> None:
    manifest = json.loads((package / "Manifest.json").read_text())
    for item in manifest["itemInfoEntries"].values():
        item["path"] = place
    (package / "Manifest.json").write_text(json.dumps(manifest))
    assert "outside of its folder" in refusal(package)


@pytest.mark.parametrize("part", [MODEL, WEIGHTS])
def test_core_ml_part_that_is_a_link_elsewhere_or_a_pipe(package: Path, part: str) -> None:
    file = package / "Data" / part
    file.unlink()
    file.symlink_to("/dev/zero")
    assert "outside of its folder" in refusal(package)
    file.unlink()
    os.mkfifo(file)
    assert "missing" in refusal(package)


def test_core_ml_manifest_nested_without_end(package: Path) -> None:
    (package / "Manifest.json").write_text("[" * 200_000)
    assert "recursion" in refusal(package)
    (package / "Manifest.json").write_text(" " * 2**21)
    assert "more than its format allows" in refusal(package)


@pytest.mark.parametrize("name", ["y2", "y\n\x1b[2Jz"])
def test_core_ml_result_that_nothing_describes(package: Path, name: str) -> None:
    assert "nowhere described" in refusal(save_package(package, result=name))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pipe_in_place_of_a_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    os.mkfifo(path)
    assert "neither a file nor a folder" in refusal(path)


@pytest.mark.parametrize("suffix", [".tflite", ".pte", ".onnx"])
def test_file_larger_than_memory(suffix: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / f"m{suffix}"
    with path.open("wb") as opened:
        opened.write(b"\0\0\0\0TFL3" if suffix == ".tflite" else b"\0\0\0\0ET12")
        opened.truncate(2**42)
    refusal(path)
    assert main(["cost", str(path)]) == 4
    assert capsys.readouterr().err.count("\n") == 1


LIMITED = """
import resource, sys
from cnn_export.benchmarks.cli import main
import onnx
with open("/proc/self/statm") as statm:
    taken = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (512 << 20),) * 2)
sys.exit(main(["cost", "--json", sys.argv[1]]))
"""


def cost_within_half_a_gigabyte(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def doubled(first: str, last: str, count: int = 30) -> list[onnx.NodeProto]:
    """From 2 to 2³¹ numbers, which are 16 GB; ``last`` is one number that says how many."""
    names = [first, *(f"{first}{i}" for i in range(1, count + 1))]
    pairs = itertools.pairwise(names)
    nodes = [helper.make_node("Concat", [a, a], [b], axis=0) for a, b in pairs]
    return [*nodes, helper.make_node("Size", [names[-1]], [last])]


def test_onnx_overloads_that_multiply(tmp_path: Path) -> None:
    """Twenty-six functions of one name: 2²⁶ nodes, which were counted as three."""
    functions = [calling(["F", "F"], "F") for _ in range(25)] + [calling(["Relu"], "F")]
    for number, function in enumerate(functions):
        function.overload = f"o{number}"
        for node in function.node:
            if node.domain:
                node.overload = f"o{number + 1}"
    path = save_functions(tmp_path / "m.onnx", functions)
    model = onnx.load(path)
    model.graph.node[0].overload = "o0"
    onnx.save(model, path)
    done = cost_within_half_a_gigabyte(path)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "100000 operators" in done.stderr


def test_onnx_overloads_are_told_apart(tmp_path: Path) -> None:
    """One that calls another overload of its own name does not call itself."""
    functions = [calling(["F"], "F"), calling(["Relu"], "F")]
    functions[0].node[0].overload = functions[1].overload = "inner"
    path = save_functions(tmp_path / "m.onnx", functions)
    assert cost_here(path).unknown_ops == ["f.F"]
    assert "two functions" in refusal(save_functions(path, [functions[0], functions[0]]))


def test_onnx_shape_arithmetic_that_doubles_inside_a_function(tmp_path: Path) -> None:
    nodes = [helper.make_node("Shape", ["t0"], ["s"]), *doubled("s", "t1")]
    opsets = [helper.make_opsetid("", 20)]
    function = helper.make_function("f", "A", ["t0"], ["t1"], nodes, opsets)
    path = save_functions(tmp_path / "m.onnx", [function])
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.INT64, []))
    onnx.save(model, path)
    done = cost_within_half_a_gigabyte(path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["If", "Loop"])
def test_onnx_shape_arithmetic_that_doubles_inside_a_branch(kind: str, tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("b", TensorProto.INT64, [])
    body = [helper.make_node("Shape", ["x"], ["s"]), *doubled("s", "b")]
    if kind == "If":
        branch = helper.make_graph(body, "g", [], [value])
        node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    else:
        ends = [("i", TensorProto.INT64), ("c", TensorProto.BOOL), ("a", TensorProto.INT64)]
        inputs = [helper.make_tensor_value_info(name, kind, []) for name, kind in ends]
        go_on = helper.make_node("Identity", ["c"], ["d"])
        flag = helper.make_tensor_value_info("d", TensorProto.BOOL, [])
        loop = helper.make_graph([go_on, *body], "g", inputs, [flag, value])
        node = helper.make_node("Loop", ["once", "yes", "zero"], ["y"], body=loop)
    numbers = {"yes": np.array(True), "once": np.array(1), "zero": np.array(0)}
    path = save_onnx(tmp_path / "m.onnx", [node], {"x": [1, 4]}, {"y": []}, numbers)
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(model, path)
    done = cost_within_half_a_gigabyte(path)
    assert (done.returncode, done.stderr) == (0, "")


def test_onnx_file_that_memory_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as opened:
        opened.truncate(2**30)
    done = cost_within_half_a_gigabyte(path)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert "takes more memory than there is" in done.stderr
