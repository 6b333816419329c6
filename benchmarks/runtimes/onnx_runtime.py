"""ONNX Runtime: ``.onnx`` files in its CPU provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnn_export.benchmarks.runtimes.contract import NO_ARGUMENTS, SWITCH, Model
from cnn_export.targets.onnx.runtime import import_onnxruntime

if TYPE_CHECKING:
    from cnn_export.benchmarks.runtimes.probe import Array


class OnnxRuntime:
    """``.onnx`` in the CPU provider. Times ``run``, which allocates its outputs."""

    package: ClassVar[str] = "onnxruntime"
    needs: ClassVar[Sequence[str]] = ("onnx", "onnxruntime")
    target: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    arguments: ClassVar[Mapping[str, Sequence[str]]] = {
        "graph_optimization": ("all", "extended", "basic", "off"),
        "spinning": SWITCH,
        "arena": SWITCH,
    }
    """``spinning=off`` lets idle threads sleep, ``arena=off`` allocates per tensor."""

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
        import numpy as np

        return {n: np.asarray(v) for n, v in zip(self._names, self._results, strict=True)}


RUNTIME = OnnxRuntime
