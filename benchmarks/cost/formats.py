"""Which reader reads which file: in this process. :mod:`.bounded` does it in one with limits."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

from cnn_export.benchmarks.cost.accounting import account
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.command_line.packages import require
from cnn_export.errors import InputRefused, TargetUnavailable, one_line
from cnn_export.proof.tolerances import EXACT_MAX
from cnn_export.untrusted import regular_file

_READERS = {
    ".tflite": ("tflite.reader", "bench", "ai-edge-litert"),
    ".onnx": ("onnx.reader", "onnx", "onnx"),
    ".pte": ("executorch.reader", "executorch", "executorch"),
    ".mlpackage": ("coreml.package_graph", "coreml", "coremltools"),
}
"""Module, and the extra and package that it needs."""

SUFFIXES = tuple(_READERS)
"""File types with a reader."""


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
    _, extra, package = _READERS[path.suffix]
    require(extra, [package])


def load_vendor(suffix: str) -> None:
    """Import what reading this format imports late."""
    _module(suffix).load_vendor()


def cost_here(path: Path) -> ArtifactCost:
    """Return the cost of the artifact at ``path``, read from the file alone.

    Raises:
        InputRefused: as :func:`require_readable`, or a damaged, truncated, incomplete or absurd
            artifact; names the file and what to do.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    require_readable(path)
    with refusing_whatever_happens(path):
        cost = account(_reader(path).read_graph(path), path.name)
        totals = (cost.counted_macs, cost.mac_bytes, cost.weight_bytes, cost.peak_activation_bytes)
        if max(totals) > EXACT_MAX or min(totals) < 0:  # neither results nor manifests hold more
            raise InputRefused("its sizes make no sense together; export it again")
        return cost


def metadata_here(path: Path) -> dict[str, str]:
    """Return the string pairs that the artifact at ``path`` carries.

    Raises:
        InputRefused: as :func:`cost_here`; an ONNX file with weights in other files too.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    require_readable(path)
    with refusing_whatever_happens(path):
        return dict(_reader(path).read_metadata(path))


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


def _reader(path: Path) -> ModuleType:
    return _module(path.suffix)


def _module(suffix: str) -> ModuleType:
    """Import the reader of this format alone: the others bring their vendor's package."""
    return importlib.import_module(f"cnn_export.artifact_files.{_READERS[suffix][0]}")
