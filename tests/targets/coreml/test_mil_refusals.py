"""What reader, binder and kernels refuse: damage, unknown parameters, undocumented values."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.artifact_files.coreml.package import Package, main_block
from cnn_export.errors import InputRefused, OperatorRefused
from cnn_export.program.program import capture
from cnn_export.targets.coreml.evaluator import evaluate, refuse_unknown
from cnn_export.targets.coreml.operators import signature
from cnn_export.targets.coreml.operators.activation import gelu, relu
from cnn_export.targets.coreml.operators.binary import KERNELS as BINARY
from cnn_export.targets.coreml.operators.convolution import conv, conv_transpose
from cnn_export.targets.coreml.operators.gathering import (
    gather,
    gather_along_axis,
    gather_nd,
    scatter,
    scatter_along_axis,
    scatter_nd,
)
from cnn_export.targets.coreml.operators.layout import reshape, split
from cnn_export.targets.coreml.operators.padding import pad
from cnn_export.targets.coreml.operators.pooling import avg_pool
from cnn_export.targets.coreml.operators.reduction import KERNELS as REDUCTION
from cnn_export.targets.coreml.operators.registry import KERNELS, join
from cnn_export.targets.coreml.operators.resizing import (
    resize_bilinear,
    upsample_bilinear,
    upsample_nearest_neighbor,
)
from cnn_export.targets.coreml.operators.signature import UnsupportedArgument
from cnn_export.targets.coreml.operators.unary import cast
from cnn_export.targets.coreml.package import write_package
from cnn_export.targets.coreml.program import MilProgram, Operation, Reference, ValueType
from cnn_export.targets.coreml.saved_program import read_program
from cnn_export.targets.coreml.target import CoreML
from cnn_export.targets.options import TargetOptions

X = torch.randn(1, 6, 7, 5)
INDICES = torch.tensor([[1, 0]])


@pytest.mark.parametrize(
    ("kernel", "arguments", "message"),
    [
        (gelu, {"x": X, "mode": "QUICK"}, "QUICK"),
        (
            avg_pool,
            {
                "x": X,
                "kernel_sizes": (2, 2),
                "strides": (3, 3),
                "pad_type": "valid",
                "ceil_mode": True,
            },
            "disputed; an export without --no-reparam",
        ),
        (
            avg_pool,
            {
                "x": X,
                "kernel_sizes": (4, 4),
                "strides": (3, 2),
                "pad_type": "custom",
                "pad": (1, 1, 1, 1),
                "ceil_mode": True,
                "exclude_padding_from_average": True,
            },
            "disputed; an export without --no-reparam",
        ),
        (cast, {"x": X, "dtype": "bf16"}, "bf16"),
        (pad, {"x": X, "pad": (1, 1), "mode": "circular"}, "circular"),
        (pad, {"x": X, "pad": (5, 0), "mode": "reflect"}, "padding of 5"),
        (conv, {"x": X, "weight": X, "pad_type": "full"}, "full"),
        (conv, {"x": X, "weight": torch.ones(4, 6, 3, 2), "pad_type": "same"}, "disputed"),
        (conv, {"x": X, "weight": X, "pad_type": "custom"}, "needs parameter 'pad'"),
        (
            conv_transpose,
            {"x": X, "weight": torch.ones(6, 2, 2, 2), "pad_type": "same_lower"},
            "same_lower",
        ),
        (
            conv_transpose,
            {"x": X, "weight": torch.ones(6, 2, 1, 1), "pad_type": "same", "strides": (2, 2)},
            "larger than the kernel",
        ),
        (
            avg_pool,
            {
                "x": X,
                "kernel_sizes": (2, 2),
                "pad_type": "custom",
                "pad": (1, 0, 0, 0),
                "ceil_mode": True,
            },
            "asymmetric",
        ),
        (BINARY["real_div"], {"x": INDICES, "y": INDICES}, "integers"),
        (gather, {"x": X, "indices": INDICES, "batch_dims": 1}, "batch_dims"),
        (gather_nd, {"x": X, "indices": INDICES, "batch_dims": 1}, "batch_dims"),
        (scatter_nd, {"data": X, "indices": INDICES, "updates": X[:, 0], "mode": "max"}, "max"),
        (
            scatter_along_axis,
            {"data": X, "indices": INDICES, "updates": X, "mode": "max"},
            "max",
        ),
        (REDUCTION["topk"], {"x": X, "sort": False}, "unsorted"),
        (REDUCTION["reduce_argmax"], {"x": X, "output_dtype": "uint16"}, "uint16"),
        (reshape, {"x": X, "shape": (0, -1)}, "rank 4"),
        (split, {"x": X, "axis": 1}, "num_splits"),
        (upsample_nearest_neighbor, {"x": X, "scale_factor_height": 1.5}, "no whole size"),
        (upsample_bilinear, {"x": X, "half_pixel_centers": True}, "align_corners together"),
        (resize_bilinear, {"x": X, "sampling_mode": "CUBIC"}, "CUBIC"),
    ],
)
def test_kernel_refuses_what_it_does_not_compute(kernel, arguments, message):
    with pytest.raises(UnsupportedArgument, match=message):
        kernel(**arguments)


@pytest.mark.parametrize("kernel", [gather, gather_along_axis, gather_nd])
@pytest.mark.parametrize(("index", "extra"), [(-2, {}), (1, {}), (-1, {"validate_indices": False})])
def test_gathering_from_outside_is_refused(kernel, index, extra):
    """From iOS 17 on, where ``validate_indices`` is given, negative indices are outside too."""
    with pytest.raises(UnsupportedArgument, match=f"index {index} is outside"):
        kernel(x=X, indices=torch.tensor([[[[index]]]], dtype=torch.int32), **extra)


@pytest.mark.parametrize("mode", ["add", "update"])
@pytest.mark.parametrize(("index", "extra"), [(-2, {}), (1, {}), (-1, {"validate_indices": False})])
def test_scattering_to_outside_is_refused(mode, index, extra):
    row, point = torch.tensor([index]), torch.tensor([[[[index]]]])
    for kernel, indices, updates in [
        (scatter, row, X),
        (scatter_along_axis, point.expand(X.shape), X),
        (scatter_nd, row[None], X),
    ]:
        with pytest.raises(UnsupportedArgument, match=f"index {index} is outside"):
            kernel(data=X, indices=indices, updates=updates, mode=mode, **extra)


def test_unknown_and_missing_parameters_are_refused():
    with pytest.raises(UnsupportedArgument, match="'strategy' is unknown"):
        signature.call(relu, {"x": [X], "strategy": ["fast"]})
    with pytest.raises(UnsupportedArgument, match="'alpha' is missing"):
        signature.call(KERNELS["elu"], {"x": [X]})


def test_every_kernel_parameter_has_a_convertible_annotation():
    scalars = {int, float, bool, str, torch.Tensor}
    lists = [signature.Ints, signature.Bools, signature.Tensors]
    for kind, kernel in KERNELS.items():
        for name, parameter in signature.parameters(kernel).items():
            known = parameter.annotation in lists or parameter.annotation in scalars
            assert known, f"{kind}.{name}: {parameter.annotation}"


def test_a_kernel_registered_twice_is_refused():
    with pytest.raises(ValueError, match="relu"):
        join([{"relu": relu}, {"relu": relu}])


def one_op(kind="relu", shape=(1, 6, 7, 5), dtype=torch.float32, **extra):
    """A program of one op on X with the declared result."""
    arguments = {"x": (Reference("x"),), **extra}
    return MilProgram(
        inputs=(ValueType("x", torch.float32, tuple(X.shape)),),
        outputs=("y",),
        operations=(Operation(kind, arguments, (ValueType("y", dtype, shape),)),),
        constants={},
        batch_range=(1, 1),
        pixel_inputs=frozenset(),
    )


def test_a_result_must_be_what_the_program_declares():
    assert torch.equal(evaluate(one_op(), {"x": X})["y"], X.relu())
    for program, message in [
        (one_op(shape=(1, 6, 7, 4)), r"relu \(y\): computed shape"),
        (one_op(shape=(1, 6, 7)), "computed shape"),
        (one_op(dtype=torch.int32), "declared torch.int32"),
    ]:
        with pytest.raises(OperatorRefused, match=message):
            evaluate(program, {"x": X})


def test_a_result_is_rounded_to_the_declared_dtype():
    half = evaluate(one_op("exp", dtype=torch.float16), {"x": X})["y"]
    assert half.dtype == torch.float16
    assert torch.equal(half, X.exp().half())


def test_unknown_op_and_parameter_are_refused_before_running():
    with pytest.raises(OperatorRefused, match="does not know: warp"):
        refuse_unknown(one_op("warp"))
    with pytest.raises(OperatorRefused, match=r"relu \(y\): parameter 'slope' is unknown"):
        refuse_unknown(one_op(slope=(torch.tensor(1.0),)))


def test_an_output_nobody_computes_is_refused():
    program = dataclasses.replace(one_op(), outputs=("z",))
    with pytest.raises(InputRefused, match="output z"):
        evaluate(program, {"x": X})


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("package") / "net.mlpackage"
    network = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    CoreML().export(capture(network, (X,)), TargetOptions(), path)
    return path


@pytest.fixture
def package(original, tmp_path):
    return shutil.copytree(original, tmp_path / "net.mlpackage")


def weights(package):
    return package / "Data/com.apple.CoreML/weights/weight.bin"


def test_truncated_weights_are_refused(package):
    weights(package).write_bytes(weights(package).read_bytes()[:400])
    with pytest.raises(InputRefused, match=r"weight\.bin is damaged"):
        CoreML().load(package)


def test_missing_weights_are_refused(package):
    weights(package).unlink()
    with pytest.raises(InputRefused, match=r"weight\.bin"):
        CoreML().load(package)


def test_damaged_blob_header_is_refused(package):
    data = bytearray(weights(package).read_bytes())
    data[64:68] = b"\0\0\0\0"
    weights(package).write_bytes(data)
    with pytest.raises(InputRefused, match="damaged at byte 64"):
        CoreML().load(package)


def test_what_is_no_package_is_refused(package, tmp_path):
    with pytest.raises(InputRefused, match=r"absent\.mlpackage: .*Manifest\.json is missing"):
        CoreML().load(tmp_path / "absent.mlpackage")
    (package / "Manifest.json").write_text(json.dumps({"itemInfoEntries": {}}))
    with pytest.raises(InputRefused, match="rootModelIdentifier"):
        CoreML().load(package)


def test_damaged_program_is_refused(package):
    program = package / "Data/com.apple.CoreML/model.mlmodel"
    program.write_bytes(b"\xff" + program.read_bytes()[1:])
    with pytest.raises(InputRefused, match=r"'model\.mlmodel' is truncated"):
        CoreML().load(package)


def edited(package, tmp_path, edit):
    spec = Package(package).model
    edit(spec)
    write_package(spec, weights(package).parent, tmp_path / "edited.mlpackage")
    return tmp_path / "edited.mlpackage"


def test_older_format_is_refused(package, tmp_path):
    path = edited(package, tmp_path, lambda spec: spec.neuralNetwork.SetInParent())
    with pytest.raises(InputRefused, match="no ML program"):
        read_program(path)


def test_control_flow_is_refused(package, tmp_path):
    def nest(spec):
        _, block = main_block(spec)
        next(op for op in block.operations if op.type == "relu").blocks.add()

    with pytest.raises(OperatorRefused, match="relu is control flow"):
        read_program(edited(package, tmp_path, nest))


def test_value_defined_twice_is_refused(package, tmp_path):
    def redefine(spec):
        _, block = main_block(spec)
        block.operations.append(block.operations[-1])

    with pytest.raises(InputRefused, match="twice"):
        read_program(edited(package, tmp_path, redefine))


def test_constant_of_another_size_is_refused(package, tmp_path):
    def shrink(spec):
        _, block = main_block(spec)
        blob = next(o for o in block.operations if o.attributes["val"].HasField("blobFileValue"))
        blob.attributes["val"].type.tensorType.dimensions[0].constant.size = 3

    with pytest.raises(InputRefused, match="its shape is"):
        read_program(edited(package, tmp_path, shrink))


def test_state_input_is_refused(package, tmp_path):
    def make_stateful(spec):
        function, _ = main_block(spec)
        function.inputs[0].type.stateType.SetInParent()

    with pytest.raises(InputRefused, match="no tensor"):
        read_program(edited(package, tmp_path, make_stateful))


def test_edited_scalar_changes_the_result(package, tmp_path):
    """The program of the file is evaluated, not one kept in memory."""

    def drop_relu(spec):
        _, block = main_block(spec)
        next(op for op in block.operations if op.type == "relu").type = "identity"

    before = CoreML().load(package)({"input": X.numpy()})["output"]
    after = CoreML().load(edited(package, tmp_path, drop_relu))({"input": X.numpy()})["output"]
    assert np.abs(before - after).max() > 1e-3
