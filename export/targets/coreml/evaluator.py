"""The reference evaluator: run a MIL program op by op in torch.

Every op is computed in float32 (integers and booleans in their own dtype); its result is then
rounded to the dtype the program declares for it. For a float16 program this is round-after-each-op
with float32 accumulation, the arithmetic Core ML promises at best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from cnn_export.errors import InputRefused, OperatorRefused
from cnn_export.targets.coreml.operators import signature
from cnn_export.targets.coreml.operators.registry import KERNELS
from cnn_export.targets.coreml.program import (
    Constant,
    MilProgram,
    Operation,
    Reference,
    ValueType,
)


def refuse_unknown(program: MilProgram) -> None:
    """Refuse a program with an op, or a parameter of one, that no kernel computes.

    Raises:
        OperatorRefused: names every such op kind, or the op with the parameter.
    """
    unknown = unknown_kinds(operation.kind for operation in program.operations)
    if unknown:
        raise OperatorRefused(f"the MIL evaluator does not know: {', '.join(unknown)}")
    for operation in program.operations:
        try:
            signature.check_names(KERNELS[operation.kind], operation.arguments)
        except signature.UnsupportedArgument as error:
            raise OperatorRefused(_about(operation, str(error))) from error


def unknown_kinds(kinds: Iterable[str]) -> list[str]:
    """Return the op kinds without a kernel, each once, sorted."""
    return sorted(set(kinds) - KERNELS.keys())


def evaluate(program: MilProgram, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the program's outputs by name.

    ``inputs`` holds one tensor per program input, in its declared dtype and shape.

    Raises:
        OperatorRefused: an op's arguments are outside of what its kernel computes, or its result
            is not what the program declares.
    """
    values: dict[str, Constant] = {**program.constants, **inputs}
    last_use = _last_uses(program)
    with torch.inference_mode():
        for index, operation in enumerate(program.operations):
            values.update(_run(operation, values))
            for name in last_use.get(index, ()):
                del values[name]
    return {name: _tensor(name, values) for name in program.outputs}


def _run(operation: Operation, values: Mapping[str, Constant]) -> dict[str, Tensor]:
    arguments = {
        parameter: [_resolve(binding, values) for binding in bindings]
        for parameter, bindings in operation.arguments.items()
    }
    try:
        results = signature.call(KERNELS[operation.kind], arguments)
        return {
            declared.name: _conform(declared, result)
            for declared, result in zip(operation.outputs, results, strict=True)
        }
    except (signature.UnsupportedArgument, RuntimeError, ValueError, IndexError) as error:
        raise OperatorRefused(_about(operation, str(error))) from error


def _conform(declared: ValueType, result: Tensor) -> Tensor:
    """Check a result against its declaration and round it to the declared dtype."""
    matches = len(declared.shape) == result.dim() and all(
        size in (-1, actual) for size, actual in zip(declared.shape, result.shape, strict=True)
    )
    if not matches:
        raise ValueError(f"computed shape {tuple(result.shape)}, declared {declared.shape}")
    if _family(declared.dtype) != _family(result.dtype):
        raise ValueError(f"computed {result.dtype}, declared {declared.dtype}")
    return result.to(declared.dtype)


def _family(dtype: torch.dtype) -> str:
    if dtype == torch.bool:
        return "bool"
    return "float" if dtype.is_floating_point else "int"


def _resolve(binding: Reference | Constant, values: Mapping[str, Constant]) -> Constant:
    return values[binding.name] if isinstance(binding, Reference) else binding


def _tensor(name: str, values: Mapping[str, Constant]) -> Tensor:
    value = values.get(name)
    if not isinstance(value, Tensor):
        raise InputRefused(f"the package's output {name} is not computed by its program")
    return value


def _last_uses(program: MilProgram) -> dict[int, Sequence[str]]:
    """Return, by op index, the computed values that no later op and no output needs."""
    last: dict[str, int] = {}
    for index, operation in enumerate(program.operations):
        for output in operation.outputs:
            last[output.name] = index
        for bindings in operation.arguments.values():
            last.update((b.name, index) for b in bindings if isinstance(b, Reference))
    kept = {*program.outputs, *program.constants}
    freed: dict[int, list[str]] = {}
    for name, index in last.items():
        if name not in kept:
            freed.setdefault(index, []).append(name)
    return dict(freed)


def _about(operation: Operation, reason: str) -> str:
    lines = reason.strip().splitlines()
    return f"MIL op {operation.kind} ({operation.name}): {lines[0] if lines else 'failed'}"
