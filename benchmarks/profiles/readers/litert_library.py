"""LiteRT's profiler through the wheel's C library; its Python classes do not reach it.

The C interface is not declared in the wheel, so layouts and option names here are those of
ai-edge-litert 2.3 and no other minor version is tried.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnn_export.benchmarks.runtimes.probe import Array
from cnn_export.command_line.packages import missing_module
from cnn_export.errors import InputRefused, TargetUnavailable

KNOWN_VERSION = "2.3."
_CPU = 1
_READ, _WRITE = 0, 1
_TYPE_BYTES = 512
"""More than a ranked tensor type takes; it is passed through, never looked at."""
_OPTIONS = (
    (b"runtime_options_string", "enable_profiling = true\n"),
    (b"xnnpack", "num_threads = {threads}\n"),
)

_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _keep(text: int | None) -> None:
    """Free nothing: the library hands option texts back with this, but Python owns them."""
    del text


_KEEP = _Deleter(_keep)


class _MemoryUsage(ctypes.Structure):
    _fields_ = (("peak", ctypes.c_int64), ("total", ctypes.c_int64), ("in_use", ctypes.c_int64))


class ProfilerEvent(ctypes.Structure):
    """``ProfiledEventData``; ``index`` counts the operators of an interpreter or delegate."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory_before", _MemoryUsage),
        ("memory_after", _MemoryUsage),
        ("index", ctypes.c_uint64),
        ("metadata", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class ProfiledModel:
    """One ``.tflite`` compiled for the CPU with profiling on; lives as long as the process."""

    def __init__(self, path: Path, threads: int, version: str) -> None:
        if not version.startswith(KNOWN_VERSION):
            raise TargetUnavailable(
                f"the profiler of ai-edge-litert {version} has no known interface; run: "
                f"pip install 'ai-edge-litert=={KNOWN_VERSION}*'"
            )
        self._library = _library()
        self._environment = self._handle("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        self._graph = self._handle(
            "LiteRtCreateModelFromFile", self._environment, ctypes.c_char_p(bytes(path))
        )
        self._options(threads)
        self._model = self._handle(
            "LiteRtCreateCompiledModel", self._environment, self._graph, self._choices
        )
        self._profiler = self._handle("LiteRtCompiledModelGetProfiler", self._model)
        self._subgraph = self._handle("LiteRtGetModelSubgraph", self._graph, ctypes.c_size_t(0))
        self._inputs = self._buffers("Input")
        self._outputs = self._buffers("Output")

    def _options(self, threads: int) -> None:
        self._choices = self._handle("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", self._choices, ctypes.c_int(_CPU))
        self._texts = [text.format(threads=threads).encode() for _, text in _OPTIONS]
        for (key, _), text in zip(_OPTIONS, self._texts, strict=True):
            option = self._handle(
                "LiteRtCreateOpaqueOptions", ctypes.c_char_p(key), ctypes.c_char_p(text), _KEEP
            )
            self._call("LiteRtAddOpaqueOptions", self._choices, option)

    def write(self, values: Sequence[Array]) -> None:
        """Copy ``values``, in the file's order, into the inputs.

        Raises:
            InputRefused: another number of inputs, or of bytes.
        """
        if len(values) != len(self._inputs):
            raise InputRefused(f"the file has {len(self._inputs)} inputs, not {len(values)}")
        for buffer, value in zip(self._inputs, values, strict=True):
            data = np.ascontiguousarray(value).tobytes()
            size = self._size(buffer)
            if size < len(data):
                raise InputRefused(
                    f"an input takes {size} bytes, its probe has {len(data)}; LiteRT's profiler "
                    "needs an artifact of fixed batch 1"
                )
            address = self._locked(buffer, _WRITE)
            ctypes.memmove(address, data, len(data))
            self._call("LiteRtUnlockTensorBuffer", buffer)

    def read(self, index: int, like: Array) -> Array:
        """Return output ``index`` with the dtype and shape of ``like``."""
        buffer = self._outputs[index]
        data = ctypes.string_at(self._locked(buffer, _READ), like.nbytes)
        self._call("LiteRtUnlockTensorBuffer", buffer)
        return np.frombuffer(data, like.dtype).reshape(like.shape)

    def infer(self) -> None:
        """Run once."""
        sources, results = (self._array(each) for each in (self._inputs, self._outputs))
        self._call(
            "LiteRtRunCompiledModel",
            self._model,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(sources)),
            sources,
            ctypes.c_size_t(len(results)),
            results,
        )

    def start(self) -> None:
        """Let the profiler record from here."""
        self._call("LiteRtStartProfiler", self._profiler)

    def stop(self) -> list[ProfilerEvent]:
        """Return what was recorded since :meth:`start`."""
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (ProfilerEvent * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        self._call("LiteRtResetProfiler", self._profiler)
        return list(events)

    def _buffers(self, side: str) -> list[ctypes.c_void_p]:
        count = ctypes.c_size_t()
        self._call(f"LiteRtGetNumSubgraph{side}s", self._subgraph, ctypes.byref(count))
        return [self._buffer(side, ctypes.c_size_t(index)) for index in range(count.value)]

    def _buffer(self, side: str, index: ctypes.c_size_t) -> ctypes.c_void_p:
        tensor = self._handle(f"LiteRtGetSubgraph{side}", self._subgraph, index)
        kind = ctypes.create_string_buffer(_TYPE_BYTES)
        self._call("LiteRtGetRankedTensorType", tensor, kind)
        needs = self._handle(
            f"LiteRtGetCompiledModel{side}BufferRequirements",
            self._model,
            ctypes.c_size_t(0),
            index,
        )
        return self._handle(
            "LiteRtCreateManagedTensorBufferFromRequirements", self._environment, kind, needs
        )

    def _size(self, buffer: ctypes.c_void_p) -> int:
        size = ctypes.c_size_t()
        self._call("LiteRtGetTensorBufferSize", buffer, ctypes.byref(size))
        return size.value

    def _locked(self, buffer: ctypes.c_void_p, mode: int) -> int:
        address = ctypes.c_void_p()
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(mode))
        return address.value or 0

    def _array(self, handles: Sequence[ctypes.c_void_p]) -> ctypes.Array[ctypes.c_void_p]:
        return (ctypes.c_void_p * len(handles))(*[handle.value for handle in handles])

    def _handle(self, name: str, *arguments: object) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _call(self, name: str, *arguments: object) -> None:
        function = getattr(self._library, name)
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise InputRefused(f"LiteRT's {name} failed with status {status} on this file")


def _library() -> ctypes.CDLL:
    found = importlib.util.find_spec("ai_edge_litert")
    if found is None or found.origin is None:
        raise TargetUnavailable(missing_module("ai_edge_litert"))
    return ctypes.CDLL(str(Path(found.origin).with_name("libLiteRt.so")))
