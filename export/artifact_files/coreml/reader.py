"""Read a saved ``.mlpackage`` from disk: the program, its weights and its interface."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.coreml.program import Constant, MilProgram, Operation, Reference
from cnn_export.artifact_files.coreml.values import BlobFile, decode, value_type
from cnn_export.artifact_files.coreml.vendor import coremltools
from cnn_export.errors import InputRefused, OperatorRefused

WEIGHTS_PREFIX = "@model_path/"


def read_program(package: Path) -> MilProgram:
    """Return the ``main`` function of the package at ``package``.

    Raises:
        InputRefused: the folder is no ML program package, or is damaged.
        OperatorRefused: an op holds nested blocks (control flow).
    """
    spec = read_spec(package)
    function, block = main_block(spec)
    _refuse_redefinition(function, block)
    blobs = BlobFile(_weights_path(package, block.operations))
    constants = {
        operation.outputs[0].name: decode(
            operation.outputs[0].name, operation.attributes["val"], blobs
        )
        for operation in block.operations
        if operation.type == "const"
    }
    return MilProgram(
        inputs=tuple(value_type(named) for named in function.inputs),
        outputs=tuple(feature.name for feature in spec.description.output),
        operations=tuple(_operations(block.operations, blobs)),
        constants=constants,
        batch_range=_batch_range(spec),
        pixel_inputs=frozenset(
            feature.name
            for feature in spec.description.input
            if feature.type.WhichOneof("Type") == "imageType"
        ),
    )


def read_spec(package: Path) -> Any:
    """Return the package's ``Model`` protobuf.

    Raises:
        InputRefused: the folder is no ML program package, or is damaged.
    """
    coremltools()
    from coremltools.proto import Model_pb2  # pyright: ignore[reportMissingImports]
    from google.protobuf.message import DecodeError

    spec: Any = Model_pb2.Model()
    try:
        spec.ParseFromString(_specification_path(package).read_bytes())
    except (OSError, KeyError, ValueError, DecodeError) as error:
        raise InputRefused(f"{package.name} is no readable Core ML package: {error}") from error
    if spec.WhichOneof("Type") != "mlProgram":
        raise InputRefused(f"{package.name} holds no ML program (an older Core ML format)")
    return spec


def main_block(spec: Any) -> tuple[Any, Any]:
    """Return the ``main`` function of a ``Model`` protobuf and its active block."""
    function = spec.mlProgram.functions["main"]
    return function, function.block_specializations[function.opset]


def computing_operations(spec: Any) -> list[str]:
    """Return the kinds of all ops of ``main`` that compute (everything but ``const``)."""
    _, block = main_block(spec)
    return [operation.type for operation in block.operations if operation.type != "const"]


def _refuse_redefinition(function: Any, block: Any) -> None:
    """MIL is in single-assignment form; what defines a name twice runs differently everywhere."""
    seen: set[str] = set()
    definitions = [named for operation in block.operations for named in operation.outputs]
    for named in [*function.inputs, *definitions]:
        if named.name in seen:
            raise InputRefused(f"the MIL program defines {named.name} twice; export again")
        seen.add(named.name)


def _specification_path(package: Path) -> Path:
    manifest = json.loads((package / "Manifest.json").read_text())
    root = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
    return package / "Data" / root["path"]


def _weights_path(package: Path, operations: Iterable[Any]) -> Path:
    names = {
        value.blobFileValue.fileName
        for operation in operations
        for value in operation.attributes.values()
        if value.WhichOneof("value") == "blobFileValue"
    }
    if len(names) > 1:
        raise InputRefused(f"{package.name} spreads its weights over {len(names)} files; one only")
    name = names.pop() if names else "@model_path/weights/weight.bin"
    return _specification_path(package).parent / name.removeprefix(WEIGHTS_PREFIX)


def _operations(operations: Iterable[Any], blobs: BlobFile) -> Iterator[Operation]:
    for operation in operations:
        if operation.type == "const":
            continue
        if operation.blocks:
            raise OperatorRefused(
                f"MIL op {operation.type} is control flow, which is not evaluated"
            )
        yield Operation(
            kind=operation.type,
            arguments={
                parameter: tuple(_bindings(parameter, argument, blobs))
                for parameter, argument in operation.inputs.items()
            },
            outputs=tuple(value_type(named) for named in operation.outputs),
        )


def _bindings(parameter: str, argument: Any, blobs: BlobFile) -> Iterator[Reference | Constant]:
    for binding in argument.arguments:
        if binding.WhichOneof("binding") == "name":
            yield Reference(binding.name)
        else:
            yield decode(parameter, binding.value, blobs)


def _batch_range(spec: Any) -> tuple[int, int]:
    """Return the smallest and largest value of a dimension that is known at run time."""
    for feature in spec.description.input:
        for sizes in feature.type.multiArrayType.shapeRange.sizeRanges:
            if sizes.lowerBound != sizes.upperBound:
                return int(sizes.lowerBound), int(sizes.upperBound)
    return 1, 1
