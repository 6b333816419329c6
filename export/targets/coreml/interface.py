"""Give a converted program the inputs and outputs that the user named.

coremltools names outputs after graph nodes, returns float16 for a float16 program, and lets two
outputs (or an output and an input) share one value. Here every output becomes a value of its own,
in the wanted name and in float32.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cnn_export.artifact_files.coreml.package import main_block
from cnn_export.artifact_files.coreml.reader import STRING
from cnn_export.errors import InputRefused

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = frozenset(
    (
        *("any", "bool", "program", "func", "tensor", "list", "dict", "tuple", "true", "false"),
        *("string", "bf16", "fp16", "fp32", "fp64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64", "state"),
    )
)
_FLOAT16, _FLOAT32 = 10, 11
_FEATURE_FLOAT16, _FEATURE_FLOAT32 = 65552, 65568
"""``ArrayFeatureType.ArrayDataType`` of FeatureTypes.proto."""


def refuse_names(names: Iterable[str]) -> None:
    """Refuse names that MIL cannot spell.

    Raises:
        InputRefused: a name is no identifier, is reserved by MIL, or stands twice.
    """
    seen: set[str] = set()
    for name in names:
        if not _IDENTIFIER.match(name) or name in _RESERVED:
            raise InputRefused(
                f"{name!r} is no name for a Core ML input or output; "
                "use letters, digits and _ and no MIL type name"
            )
        if name in seen:
            raise InputRefused(f"{name!r} names two inputs or outputs; Core ML needs them distinct")
        seen.add(name)


def name_interface(spec: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Rename the inputs and outputs of a ``Model`` protobuf, in place; outputs become float32.

    Raises:
        InputRefused: the program has not as many inputs or outputs as there are names.
    """
    function, block = main_block(spec)
    given = [named.name for named in function.inputs]
    if len(given) != len(inputs) or len(block.outputs) != len(outputs):
        raise InputRefused(
            f"the converted program has {len(given)} inputs and {len(block.outputs)} outputs "
            f"in place of {len(inputs)} and {len(outputs)}"
        )
    _give_outputs_own_values(function, block)
    renamed = dict(zip(given, inputs, strict=True))
    renamed.update(zip(block.outputs, outputs, strict=True))
    renamed.update(_evasions(function, block, renamed))
    _rename_values(function, block, renamed)
    _rename_features(spec.description, outputs, renamed)


def _give_outputs_own_values(function: Any, block: Any) -> None:
    """Append an op for every output that is float16, an input, a constant or returned twice."""
    types = {named.name: named.type for named in function.inputs}
    computed: set[str] = set()
    for operation in block.operations:
        types.update((named.name, named.type) for named in operation.outputs)
        if operation.type != "const":
            computed.update(named.name for named in operation.outputs)
    for position, value in enumerate(list(block.outputs)):
        half = types[value].tensorType.dataType == _FLOAT16
        if half or value not in computed:
            block.outputs[position] = _append_copy(block, value, types[value], position, half)
        computed.discard(value)


def _append_copy(block: Any, value: str, value_type: Any, position: int, half: bool) -> str:
    name = _fresh(f"{value}_output_{position}", _defined(block))
    operation = block.operations.add(type="cast" if half else "identity")
    operation.inputs["x"].arguments.add(name=value)
    if half:
        operation.inputs["dtype"].arguments.add().value.CopyFrom(_text("fp32"))
    operation.attributes["name"].CopyFrom(_text(name))
    output = operation.outputs.add(name=name, type=value_type)
    if half:
        output.type.tensorType.dataType = _FLOAT32
    return name


def _text(text: str) -> Any:
    from coremltools.proto import MIL_pb2

    value: Any = MIL_pb2.Value()
    value.type.tensorType.dataType = STRING
    value.immediateValue.tensor.strings.values.append(text)
    return value


def _defined(block: Any) -> set[str]:
    return {named.name for operation in block.operations for named in operation.outputs}


def _evasions(function: Any, block: Any, renamed: Mapping[str, str]) -> dict[str, str]:
    """Return new names for inner values that stand in the way of a wanted name."""
    defined = _defined(block) | {named.name for named in function.inputs}
    taken = defined | set(renamed.values())
    evasions: dict[str, str] = {}
    for value in sorted((defined & set(renamed.values())) - renamed.keys()):
        evasions[value] = _fresh(f"{value}_inner", taken)
        taken.add(evasions[value])
    return evasions


def _fresh(name: str, taken: set[str]) -> str:
    number = 0
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _rename_values(function: Any, block: Any, renamed: Mapping[str, str]) -> None:
    bindings = [
        binding
        for operation in block.operations
        for argument in operation.inputs.values()
        for binding in argument.arguments
        if binding.WhichOneof("binding") == "name"
    ]
    definitions = [named for operation in block.operations for named in operation.outputs]
    for item in [*bindings, *definitions, *function.inputs]:
        item.name = renamed.get(item.name, item.name)
    for position, value in enumerate(block.outputs):
        block.outputs[position] = renamed[value]


def _rename_features(description: Any, outputs: Sequence[str], renamed: Mapping[str, str]) -> None:
    for feature in description.input:
        feature.name = renamed[feature.name]
    for feature, name in zip(description.output, outputs, strict=True):
        feature.name = name
        if feature.type.multiArrayType.dataType == _FEATURE_FLOAT16:
            feature.type.multiArrayType.dataType = _FEATURE_FLOAT32
