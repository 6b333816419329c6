"""Open a ``.mlpackage`` folder: the ``Model`` protobuf and the files that it names.

Importing coremltools loads torch; its protobuf classes alone do not, so only they are loaded.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from cnn_export.artifact_files.file_content import PROTOBUF_BYTES_MAX, file_inside, require_size
from cnn_export.artifact_files.malformed import refusing_malformed
from cnn_export.command_line.packages import package_folder, require
from cnn_export.errors import InputRefused

_PROTOS = "cnn_export_mil_protos"
_WEIGHTS_PREFIX = "@model_path/"
_MANIFEST_BYTES_MAX = 2**20


class Package:
    """A package whose specification was parsed: ``model`` is its ``Model`` protobuf.

    Raises:
        InputRefused: it is no Core ML package, or damaged.
        TargetUnavailable: coremltools is not installed; holds the install line.
    """

    def __init__(self, path: Path) -> None:
        if path.is_file():
            raise InputRefused("a .mlpackage is a folder; this is a file")
        file = _specification_file(path)
        self._folder = file.parent
        self.model = _parsed(file)

    def main(self) -> tuple[Any, Any]:
        """Return the ``main`` function and its active block.

        Raises:
            InputRefused: the package holds no ML program.
        """
        if self.model.WhichOneof("Type") != "mlProgram":
            raise InputRefused("it holds no ML program (an older Core ML format); convert it anew")
        return main_block(self.model)

    def weight_file(self, name: str) -> Path:
        """Return the file that a value of the program calls ``name``.

        Raises:
            InputRefused: it is missing, or lies outside of the package.
        """
        return file_inside(self._folder, name.removeprefix(_WEIGHTS_PREFIX))


def main_block(model: Any) -> tuple[Any, Any]:
    """Return the ``main`` function of a ``Model`` protobuf and its active block."""
    function = model.mlProgram.functions["main"]
    return function, function.block_specializations[function.opset]


def computing_operations(block: Any) -> list[str]:
    """Return the kinds of all operations of a block that compute (everything but ``const``)."""
    return [operation.type for operation in block.operations if operation.type != "const"]


@functools.cache
def protos() -> Any:
    """Return the module of class ``Model``.

    The classes import one another relative to their package, so the package needs a name; it
    gets one of its own, and coremltools may still be imported later.

    Raises:
        TargetUnavailable: coremltools is not installed; holds the install line.
    """
    require("coreml", ["coremltools"])
    package = ModuleType(_PROTOS)
    package.__path__ = [str(package_folder("coremltools") / "proto")]
    sys.modules[_PROTOS] = package
    importlib.import_module("google.protobuf.message")
    return importlib.import_module(f"{_PROTOS}.Model_pb2")


def _specification_file(path: Path) -> Path:
    manifest = path / "Manifest.json"
    if not manifest.is_file():
        raise InputRefused("it is no Core ML package: Manifest.json is missing")
    with refusing_malformed("Core ML package"):
        require_size(manifest, _MANIFEST_BYTES_MAX)
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        root = entries["itemInfoEntries"][entries["rootModelIdentifier"]]["path"]
        return file_inside(path / "Data", root)


def _parsed(file: Path) -> Any:
    model = protos().Model()
    from google.protobuf.message import DecodeError

    with refusing_malformed("Core ML package"):
        require_size(file, PROTOBUF_BYTES_MAX)
        try:
            model.ParseFromString(file.read_bytes())
        except DecodeError as error:
            raise ValueError(f"{file.name!r} is truncated") from error
    return model
