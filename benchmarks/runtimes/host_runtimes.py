"""The runtimes of this host: one class each, found by the artifact's file type.

Vendor packages load inside :meth:`Runtime.load`; only ExecuTorch's brings torch along.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cnn_export.benchmarks.runtimes.contract import NO_ARGUMENTS, Model, Runtime
from cnn_export.benchmarks.runtimes.probe import Array
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused
from cnn_export.targets.onnx.runtime import import_onnxruntime


class LiteRT:
    """``.tflite`` in the interpreter with its default XNNPACK delegate. Times ``invoke``."""

    package: ClassVar[str] = "ai-edge-litert"

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
        for name, value in inputs.items():
            interpreter.resize_tensor_input(slots[name], value.shape)
        interpreter.allocate_tensors()
        for name, value in inputs.items():
            interpreter.set_tensor(slots[name], value)
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


class OnnxRuntime:
    """``.onnx`` in the CPU provider. Times ``run``, which allocates its outputs."""

    package: ClassVar[str] = "onnxruntime"

    def import_package(self) -> None:
        """Import the vendor's modules."""
        import_onnxruntime()

    def load(
        self,
        path: Path,
        inputs: dict[str, Array],
        output_names: Sequence[str],
        threads: int,
        arguments: Mapping[str, str] = NO_ARGUMENTS,
    ) -> Model:
        """Load a session that runs operators one after the other."""
        ort = import_onnxruntime()

        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        _apply(options, arguments)
        session: Any = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return _OnnxModel(session, inputs)


def _apply(options: Any, arguments: Mapping[str, str]) -> None:
    ort = import_onnxruntime()

    levels: Any = ort.GraphOptimizationLevel
    if "graph_optimization" in arguments:
        level = {"off": "DISABLE_ALL"}.get(
            arguments["graph_optimization"], f"ENABLE_{arguments['graph_optimization'].upper()}"
        )
        options.graph_optimization_level = getattr(levels, f"ORT_{level}")
    if "spinning" in arguments:
        allowed = "1" if arguments["spinning"] == "on" else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", allowed)
    if "arena" in arguments:
        options.enable_cpu_mem_arena = arguments["arena"] == "on"


class _OnnxModel:
    def __init__(self, session: Any, inputs: dict[str, Array]) -> None:
        self._session = session
        self._inputs = inputs
        self._names: list[str] = [output.name for output in session.get_outputs()]
        self._results: list[Any] = []

    def infer(self) -> None:
        self._results = self._session.run(self._names, self._inputs)

    def outputs(self) -> dict[str, Array]:
        return {n: np.asarray(v) for n, v in zip(self._names, self._results, strict=True)}


class ExecuTorch:
    """``.pte`` in the wheel's runtime with XNNPACK. Times ``execute``."""

    package: ClassVar[str] = "executorch"

    def import_package(self) -> None:
        """Import the vendor's modules."""
        importlib.import_module("torch")
        importlib.import_module("executorch.runtime")

    def load(
        self,
        path: Path,
        inputs: dict[str, Array],
        output_names: Sequence[str],
        threads: int,
        arguments: Mapping[str, str] = NO_ARGUMENTS,
    ) -> Model:
        """Load the method ``forward``; the format has no names, so the manifest's are used."""
        del arguments  # it has none that matter to a time
        import torch
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime as Vendor

        library: Any = portable_lib
        library._unsafe_reset_threadpool(threads)
        torch.set_num_threads(threads)
        program: Any = Vendor.get().load_program(path.read_bytes())
        tensors = [torch.from_numpy(value) for value in inputs.values()]
        return _ExecuTorchModel(program, tensors, output_names)


class _ExecuTorchModel:
    def __init__(self, program: Any, tensors: list[Any], names: Sequence[str]) -> None:
        self._program = program  # owns the memory that the method works in
        self._method = program.load_method("forward")
        self._tensors = tensors
        self._names = names
        self._results: Sequence[Any] = ()

    def infer(self) -> None:
        self._results = self._method.execute(self._tensors)

    def outputs(self) -> dict[str, Array]:
        arrays = [value.numpy().copy() for value in self._results]
        names = self._names if len(self._names) == len(arrays) else map(str, range(len(arrays)))
        return dict(zip(names, arrays, strict=True))


RUNTIMES: dict[str, type[Runtime]] = {
    ".tflite": LiteRT,
    ".onnx": OnnxRuntime,
    ".pte": ExecuTorch,
}


def runtime_of(path: Path) -> Runtime:
    """Return the runtime for an artifact's file type.

    Raises:
        InputRefused: this host has no runtime for it, or the type is unknown.
    """
    kind = RUNTIMES.get(path.suffix)
    if kind is not None:
        return kind()
    if path.suffix == ".mlpackage":
        raise InputRefused(
            f"{path}: host timing has no Core ML runtime; leave .mlpackage artifacts out"
        )
    raise InputRefused(f"{path} is none of {', '.join(RUNTIMES)}; give an exported artifact")


def runtime_version(runtime: Runtime) -> str:
    """Return the installed version.

    Raises:
        TargetUnavailable: it is not installed; holds the install line.
    """
    return require("bench", [runtime.package])[runtime.package]
