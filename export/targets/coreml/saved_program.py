"""The program of a saved ``.mlpackage`` with its weights, for the evaluator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnn_export.artifact_files.coreml.package import Package
from cnn_export.artifact_files.formats import refusing_whatever_happens
from cnn_export.errors import InputRefused, OperatorRefused
from cnn_export.targets.coreml.program import Constant, MilProgram, Operation, Reference
from cnn_export.targets.coreml.values import Blobs, decode, value_type


def read_program(path: Path) -> MilProgram:
    """Return the ``main`` function of the package at ``path``.

    Raises:
        InputRefused: the folder is no ML program package, or is damaged.
        OperatorRefused: an op holds nested blocks (control flow).
    """
    with refusing_whatever_happens(path):
        package = Package(path)
        function, block = package.main()
        _refuse_redefinition(function, block)
        blobs = Blobs(package)
    constants = {
        operation.outputs[0].name: decode(
            operation.outputs[0].name, operation.attributes["val"], blobs
        )
        for operation in block.operations
        if operation.type == "const"
    }
    description = package.model.description
    return MilProgram(
        inputs=tuple(value_type(named) for named in function.inputs),
        outputs=tuple(feature.name for feature in description.output),
        operations=tuple(_operations(block.operations, blobs)),
        constants=constants,
        batch_range=_batch_range(description),
        pixel_inputs=frozenset(
            feature.name
            for feature in description.input
            if feature.type.WhichOneof("Type") == "imageType"
        ),
    )


def _refuse_redefinition(function: Any, block: Any) -> None:
    """MIL is in single-assignment form; what defines a name twice runs differently everywhere."""
    seen: set[str] = set()
    definitions = [named for operation in block.operations for named in operation.outputs]
    for named in [*function.inputs, *definitions]:
        if named.name in seen:
            raise InputRefused(f"the MIL program defines {named.name} twice; export again")
        seen.add(named.name)


def _operations(operations: Iterable[Any], blobs: Blobs) -> Iterator[Operation]:
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
                **_stored(operation, blobs),
                **{
                    parameter: tuple(_bindings(parameter, argument, blobs))
                    for parameter, argument in operation.inputs.items()
                },
            },
            outputs=tuple(value_type(named) for named in operation.outputs),
        )


def _stored(operation: Any, blobs: Blobs) -> dict[str, tuple[Constant, ...]]:
    """Return what an op on stored weights has as attributes; of others these name it only."""
    if not operation.type.startswith("constexpr_"):
        return {}
    attributes = {key: value for key, value in operation.attributes.items() if key != "name"}
    return {key: (decode(key, value, blobs),) for key, value in attributes.items()}


def _bindings(parameter: str, argument: Any, blobs: Blobs) -> Iterator[Reference | Constant]:
    for binding in argument.arguments:
        if binding.WhichOneof("binding") == "name":
            yield Reference(binding.name)
        else:
            yield decode(parameter, binding.value, blobs)


def _batch_range(description: Any) -> tuple[int, int]:
    """Return the smallest and largest value of a dimension that is known at run time."""
    for feature in description.input:
        for sizes in feature.type.multiArrayType.shapeRange.sizeRanges:
            if sizes.lowerBound != sizes.upperBound:
                return int(sizes.lowerBound), int(sizes.upperBound)
    return 1, 1
