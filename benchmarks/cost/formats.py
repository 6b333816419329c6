"""Which reader reads which file."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cnn_export.benchmarks.cost.accounting import account
from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost
from cnn_export.benchmarks.cost.op_graph import OpGraph
from cnn_export.errors import InputRefused

_READERS = {
    ".tflite": "tflite_file",
    ".onnx": "onnx_file",
    ".pte": "pte_file",
    ".mlpackage": "mil_package",
}
SUFFIXES = tuple(_READERS)
"""File types with a reader."""


def read_cost(path: Path) -> ArtifactCost:
    """Return the cost of the artifact at ``path``, read from the file alone.

    Raises:
        InputRefused: no such file, a foreign file type, or a damaged, truncated or incomplete
            artifact; names the file and what to do.
        TargetUnavailable: what reads the format is not installed; holds the install line.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputRefused(f"{path} is none of {', '.join(SUFFIXES)}; give an exported artifact")
    if not path.exists():
        raise InputRefused(f"{path} does not exist; give an exported artifact")
    # A pipe would never end, a device neither.
    if not path.is_file() and not path.is_dir():
        raise InputRefused(f"{path} is neither a file nor a folder; give an exported artifact")
    # Only the reader of this format is loaded: the others bring their vendor's package.
    module = importlib.import_module(f"{__package__}.{reader}")
    read = cast(Callable[[Path], OpGraph], module.read_graph)
    try:
        return account(read(path), path.name)
    except InputRefused as error:
        raise InputRefused(f"{path}: {' '.join(str(error).split())}") from error
    except OSError as error:
        raise InputRefused(f"{path} cannot be read: {error.strerror or error}") from error
