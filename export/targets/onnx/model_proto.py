"""Work on an ONNX ``ModelProto``: simplify, strip, stamp and check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnn_export.errors import OperatorRefused, UsageError
from cnn_export.program.tensors import Array, Tensors
from cnn_export.targets import diagnosis
from cnn_export.targets.onnx.runtime import import_onnxruntime

_PRODUCER = "cnn-export"
_SAME = 1e-6
"""Largest error, relative to the output's RMS, that simplification may introduce."""


def session(model: str | bytes) -> Any:
    """Return an ONNX Runtime CPU session that prints nothing but errors."""
    ort = import_onnxruntime()

    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def require_opset(model: Any, opset: int) -> None:
    """Check the opset that was really written; torch falls back to another one silently.

    Raises:
        UsageError: the exporter wrote another opset than asked.
    """
    written = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if written != opset:
        raise UsageError(f"--opset {opset} cannot be written for this network; use {written}")


def simplified(model: Any, feeds: Tensors) -> Any:
    """Return onnxsim's form if it has fewer nodes and computes the same on ``feeds``.

    Simplification only improves the file: whatever goes wrong on the way, from a failing rewrite
    to a form that the runtime rejects, leaves the model as it was.
    """
    import onnxsim

    try:
        candidate, _ = onnxsim.simplify(model)
        if len(candidate.graph.node) >= len(model.graph.node):
            return model
        return candidate if _same_outputs(model, candidate, feeds) else model
    except Exception:
        return model


def _same_outputs(model: Any, candidate: Any, feeds: Tensors) -> bool:
    expected = session(model.SerializeToString()).run(None, feeds)
    actual = session(candidate.SerializeToString()).run(None, feeds)
    return all(_same(a, e) for a, e in zip(actual, expected, strict=True))


def _same(actual: Array, expected: Array) -> bool:
    """Whether two outputs agree in shape, dtype and, to :data:`_SAME` of the RMS, in value."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return False
    if expected.size == 0:
        return True
    # Booleans have no difference and unsigned integers wrap; float64 has neither trouble.
    exact = expected.astype(np.float64)
    error = float(np.max(np.abs(actual.astype(np.float64) - exact)))
    return error <= _SAME * max(float(np.sqrt(np.mean(np.square(exact)))), 1e-30)


def finish(model: Any, metadata: Mapping[str, str], ir_version: int | None) -> None:
    """Strip what the exporter recorded of this machine, stamp the metadata and check.

    Raises:
        UsageError: the IR version does not fit the opset.
        OperatorRefused: the checker rejects the model.
    """
    import onnx

    _strip(model)
    model.producer_name = _PRODUCER
    model.producer_version = ""
    if ir_version is not None:
        model.ir_version = ir_version
    onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
    try:
        onnx.checker.check_model(model, full_check=True)
        session(model.SerializeToString())
    except Exception as error:
        reason = diagnosis.plain(error)
        if ir_version is not None:
            raise UsageError(f"--ir-version {ir_version} does not fit{reason}") from error
        raise OperatorRefused(
            f"ONNX Runtime or the ONNX checker rejects what it becomes{reason}"
        ) from error


def _strip(model: Any) -> None:
    """Remove stack traces, module paths and doc strings: they name files of this machine."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.value_info, *graph.initializer):
        _strip_one(holder)
    for value in (*graph.input, *graph.output):
        _strip_one(value)
    for function in model.functions:
        for holder in (function, *function.node, *function.value_info):
            _strip_one(holder)


def _strip_one(holder: Any) -> None:
    holder.doc_string = ""
    del holder.metadata_props[:]
