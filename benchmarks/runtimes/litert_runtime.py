"""LiteRT: ``.tflite`` files in the interpreter of Google's wheel."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnn_export.benchmarks.runtimes.contract import NO_ARGUMENTS, SWITCH, Model

if TYPE_CHECKING:
    from cnn_export.benchmarks.runtimes.probe import Array


class LiteRT:
    """``.tflite`` in the interpreter with its default XNNPACK delegate. Times ``invoke``."""

    package: ClassVar[str] = "ai-edge-litert"
    needs: ClassVar[Sequence[str]] = ("ai-edge-litert",)
    target: ClassVar[str] = "tflite"
    suffix: ClassVar[str] = ".tflite"
    arguments: ClassVar[Mapping[str, Sequence[str]]] = {"xnnpack": SWITCH}
    """``xnnpack=off`` leaves the interpreter's own kernels."""

    def import_package(self) -> None:
        """Import the vendor's modules."""
        importlib.import_module("ai_edge_litert.interpreter")

    def load(
        self,
        path: Path,
        inputs: dict[str, Array],
        output_names: Sequence[str],
        threads: int,
        arguments: Mapping[str, str] = NO_ARGUMENTS,
    ) -> Model:
        """Load, resize the inputs (a dynamic batch needs it), allocate and copy them in."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = OpResolverType.AUTO
        if arguments.get("xnnpack") == "off":
            resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter: Any = Interpreter(
            model_path=str(path), num_threads=threads, experimental_op_resolver_type=resolver
        )
        slots, results = _signature_slots(interpreter)
        dtypes = {each["index"]: each["dtype"] for each in interpreter.get_input_details()}
        for name, value in inputs.items():
            interpreter.resize_tensor_input(slots[name], value.shape)
        interpreter.allocate_tensors()
        for name, value in inputs.items():
            # The converter stores 64-bit inputs as 32-bit ones.
            interpreter.set_tensor(slots[name], value.astype(dtypes[slots[name]], copy=False))
        return _LiteRTModel(interpreter, results)


def _signature_slots(interpreter: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Return tensor indices of inputs and outputs by name.

    The runner that knows them must be gone before the interpreter allocates or runs: it holds a
    reference that the interpreter takes for a view of its memory.
    """
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details(), runner.get_output_details()
    inputs, outputs = ({n: int(d["index"]) for n, d in each.items()} for each in details)
    return inputs, outputs


class _LiteRTModel:
    def __init__(self, interpreter: Any, slots: dict[str, int]) -> None:
        self.infer = interpreter.invoke
        self._interpreter = interpreter
        self._slots = slots

    def outputs(self) -> dict[str, Array]:
        return {name: self._interpreter.get_tensor(slot) for name, slot in self._slots.items()}


RUNTIME = LiteRT
