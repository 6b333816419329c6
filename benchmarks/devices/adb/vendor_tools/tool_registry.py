"""The tools that ``--runner NAME=PATH`` names, and the binaries that the user has of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cnn_export.benchmarks.devices.adb.vendor_tools.benchmark_model import BenchmarkModel
from cnn_export.benchmarks.devices.adb.vendor_tools.executor_runner import ExecutorRunner
from cnn_export.benchmarks.devices.adb.vendor_tools.onnxruntime_perf_test import OnnxRuntimePerfTest
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Tool
from cnn_export.errors import InputRefused, UsageError, nearest
from cnn_export.untrusted import regular_file
from cnn_export.untrusted.artifact_digest import artifact_digest

TOOLS: Mapping[str, Tool] = {
    tool.name: tool for tool in (BenchmarkModel(), OnnxRuntimePerfTest(), ExecutorRunner())
}
_ELF_MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a"}
_HEAD_BYTES = 20


@dataclasses.dataclass(frozen=True)
class ToolBinary:
    """A tool's binary on this host. Shared libraries right beside it go to the phone with it."""

    tool: Tool
    path: Path

    @functools.cached_property
    def sha256(self) -> str:
        """Of the binary."""
        return artifact_digest(self.path)[0]

    @property
    def libraries(self) -> list[Path]:
        """The ``.so`` files beside the binary, by name."""
        return sorted(path for path in self.path.parent.glob("*.so*") if path.is_file())

    def require_abi(self, abis: Sequence[str]) -> None:
        """Check that a phone with these ABIs can run it.

        Raises:
            InputRefused: it cannot be read, is no program, or one for another processor.
        """
        abi = _abi(self.path)
        if abi is not None and abi not in abis:
            raise InputRefused(
                f"{self.path} is built for {abi}, the phone runs {' and '.join(abis)}: give the"
                f" {self.tool.name} for {abis[0]}"
            )


def tool_binaries(given: Iterable[str]) -> list[ToolBinary]:
    """Return the tools of ``--runner`` values ``NAME=PATH``.

    Raises:
        UsageError: not of the form, an unknown tool, or one given twice.
        InputRefused: there is no such file.
    """
    own: dict[str, ToolBinary] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise UsageError(f"--runner {text!r} is not of the form NAME=PATH")
        if name not in TOOLS:
            known = ", ".join(TOOLS)
            raise UsageError(f"there is no runner {name!r} (known: {known}).{nearest(name, TOOLS)}")
        if name in own:
            raise UsageError(f"--runner {name} is given twice; give it once")
        if regular_file.kind_at(Path(path)) != regular_file.FILE:
            raise InputRefused(f"there is no {name} at {path}")
        own[name] = ToolBinary(TOOLS[name], Path(path))
    return list(own.values())


def _abi(path: Path) -> str | None:
    """Return the ABI that a program is built for; ``None`` for a script, which runs anywhere."""
    try:
        with path.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError as error:
        raise InputRefused(f"cannot read {path}: {error.strerror}") from error
    if head.startswith(b"#!"):
        return None
    if len(head) < _HEAD_BYTES or not head.startswith(b"\x7fELF"):
        raise InputRefused(f"{path} is no program for Android")
    machine = int.from_bytes(head[18:20], "little")
    return _ELF_MACHINES.get(machine, f"another processor (ELF machine {machine})")
