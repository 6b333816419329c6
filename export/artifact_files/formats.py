"""Which reader reads which file: in this process. :mod:`.inspection` does it in one with limits."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Generator, Iterable
from pathlib import Path
from types import ModuleType
from typing import Protocol

from cnn_export.artifact_files.op_graph import OpGraph
from cnn_export.artifact_files.partition_report import PartitionReport
from cnn_export.command_line.packages import require_all
from cnn_export.errors import InputRefused, TargetUnavailable, one_line
from cnn_export.untrusted import regular_file

_READERS = {
    ".tflite": ("tflite.reader", "run-tflite", "ai-edge-litert"),
    ".onnx": ("onnx.reader", "run-onnx", "onnx"),
    ".pte": ("executorch.reader", "run-executorch", "executorch"),
    ".mlpackage": ("coreml.reader", "coreml", "coremltools"),
}
"""Module, and the extra and package that it needs."""

SUFFIXES = tuple(_READERS)
"""File types with a reader."""

PLANNED = ".tflite"
"""Falls into partitions only where a runtime loads it."""


class ArtifactFile(Protocol):
    """An artifact as its format's reader opened it. Damage is refused where it is met.

    Every method raises :class:`InputRefused` without the file's name.
    """

    def graph(self) -> OpGraph:
        """Return the operators in order of execution, the tensors, inputs and outputs."""
        ...

    def metadata(self) -> dict[str, str]:
        """Return the string pairs inside."""
        ...

    def partitions(self) -> PartitionReport:
        """Return how the file splits between a delegate and the runtime's own kernels."""
        ...


def require_readable(path: Path) -> None:
    """Check that there is something at ``path``, of a file type that can be read here.

    Raises:
        InputRefused: no such file, no file or folder at all, or a foreign file type.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    if path.suffix not in _READERS:
        raise InputRefused(f"{path} is none of {', '.join(SUFFIXES)}; give an exported artifact")
    kind = regular_file.kind_at(path)
    if kind is None:
        raise InputRefused(f"{path} does not exist; give an exported artifact")
    # A pipe would never end, a device neither.
    if kind not in (regular_file.FILE, regular_file.FOLDER):
        raise InputRefused(f"{path} is neither a file nor a folder; give an exported artifact")
    require_readers([path.suffix])


def require_readers(suffixes: Iterable[str]) -> None:
    """Check that what reads these formats is installed, without importing it.

    Raises:
        TargetUnavailable: names all that is missing, and one line that installs it.
    """
    needs = [_READERS[suffix][1:] for suffix in suffixes if suffix in _READERS]
    require_all({extra: [package] for extra, package in needs})


def opened(path: Path) -> ArtifactFile:
    """Return the artifact at ``path``, opened by its format's reader.

    Raises:
        InputRefused: it is not what its name says, or damaged.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    return _module(path.suffix).opened(path)


@contextlib.contextmanager
def refusing_whatever_happens(path: Path) -> Generator[None]:
    """Turn every way in which a reader of untrusted bytes can fail into one refusal.

    Raises:
        InputRefused: names the file and the reason.
        TargetUnavailable: as it was raised.
    """
    try:
        yield
    except TargetUnavailable:
        raise
    except InputRefused as error:
        raise InputRefused(f"{path}: {one_line(error)}") from error
    except OSError as error:
        raise InputRefused(f"{path} cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputRefused(f"{path}: reading it takes more memory than there is") from error
    except Exception as error:  # nobody can list what damaged bytes make a vendor's code raise
        reason = f"{type(error).__name__}: {one_line(error, 120)}"
        raise InputRefused(f"{path} is damaged ({reason}); export it again") from error


def reader_module(suffix: str) -> str:
    """Return the full name of the module that reads this format."""
    return f"cnn_export.artifact_files.{_READERS[suffix][0]}"


def _module(suffix: str) -> ModuleType:
    """Import the reader of this format alone: the others bring their vendor's package."""
    return importlib.import_module(reader_module(suffix))
