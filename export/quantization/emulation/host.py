"""Which of ONNX Runtime's arithmetics this machine runs."""

from __future__ import annotations

import platform
from pathlib import Path

from cnn_export.quantization.emulation.arithmetic import Arithmetic
from cnn_export.quantization.emulation.onnx_runtime import (
    ONNX_RUNTIME,
    ONNX_RUNTIME_WITHOUT_VNNI,
)
from cnn_export.quantization.emulation.onnx_runtime_arm import ONNX_RUNTIME_ARM

SATURATION_WARNING = (
    "this processor has AVX2 but no VNNI: ONNX Runtime adds pairs of products in 16 bits here, and "
    "large ones saturate; the file is proven in that arithmetic, and more exact elsewhere"
)

_AVX512_VNNI = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}
_AVX_VNNI = {"avx2", "avx_vnni"}


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the first processor's feature names as Linux spells them; none on other systems."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(found, "").split())


def saturates(flags: frozenset[str]) -> bool:
    """Whether ONNX Runtime's products of unsigned and signed bytes saturate on such a processor.

    AVX2 without VNNI does; older processors take a kernel of 16-bit products, which is exact.
    """
    return "avx2" in flags and not (flags >= _AVX512_VNNI or flags >= _AVX_VNNI)


def onnx_runtime_here() -> Arithmetic:
    """Return what ONNX Runtime computes in on this machine; see :data:`SATURATION_WARNING`."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return ONNX_RUNTIME_ARM
    return ONNX_RUNTIME_WITHOUT_VNNI if saturates(cpu_flags()) else ONNX_RUNTIME
