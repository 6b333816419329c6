"""What of the app is built: runtimes and ABIs, from the environment."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from build_tools.errors import BuildError

RUNTIMES = ("tflite", "onnxruntime", "executorch")
ABIS = ("arm64-v8a", "x86_64", "armeabi-v7a", "x86")
_DEFAULT_ABIS = ABIS[:1]
_NO_LIBRARY = {"executorch": ("armeabi-v7a", "x86")}


@dataclasses.dataclass(frozen=True)
class Selection:
    """In the order of :data:`RUNTIMES` and :data:`ABIS`, whatever order was asked for."""

    runtimes: tuple[str, ...]
    abis: tuple[str, ...]


def read_selection(environment: Mapping[str, str] = os.environ) -> Selection:
    """Read ``RUNTIMES`` and ``ABIS``; empty means the default.

    Raises:
        BuildError: an unknown name, or a runtime that has no library for an ABI.
    """
    runtimes = _chosen(environment.get("RUNTIMES", ""), RUNTIMES, "RUNTIMES") or RUNTIMES
    abis = _chosen(environment.get("ABIS", ""), ABIS, "ABIS") or _DEFAULT_ABIS
    for runtime in runtimes:
        for abi in abis:
            if abi in _NO_LIBRARY.get(runtime, ()):
                raise BuildError(f"{runtime} has no library for {abi}; leave one of them out")
    return Selection(runtimes, abis)


def _chosen(text: str, known: tuple[str, ...], name: str) -> tuple[str, ...]:
    words = text.split()
    for word in words:
        if word not in known:
            raise BuildError(f"{name} knows {', '.join(known)}, not {word!r}")
    return tuple(word for word in known if word in words)
