"""Write a ``.mlpackage`` folder, byte for byte the same for the same program.

coremltools puts random identifiers into ``Manifest.json``, today's date into the metadata and
leaves the order of protobuf maps open; all three are settled here.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_AUTHOR = "com.apple.CoreML"
_SPECIFICATION = f"{_AUTHOR}/model.mlmodel"
_WEIGHTS = f"{_AUTHOR}/weights"
_CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"


def describe(spec: Any, summary: str, metadata: Mapping[str, str]) -> None:
    """Set the short description and the user-defined metadata of a ``Model`` protobuf."""
    target = spec.description.metadata
    target.shortDescription = summary
    target.userDefined.pop(_CONVERSION_DATE, None)
    for key, value in metadata.items():
        target.userDefined[key] = value


def write_package(spec: Any, weights: Path | None, path: Path) -> None:
    """Write the package to ``path``, a folder that does not exist yet.

    ``weights`` is the folder of weight files that the program refers to.
    """
    data = path / "Data"
    (data / _AUTHOR).mkdir(parents=True)
    (data / _SPECIFICATION).write_bytes(spec.SerializeToString(deterministic=True))
    items = [_item(_SPECIFICATION, "model.mlmodel", "CoreML Model Specification")]
    files = sorted(weights.iterdir()) if weights is not None and weights.is_dir() else []
    if files:
        (data / _WEIGHTS).mkdir()
        items.append(_item(_WEIGHTS, "weights", "CoreML Model Weights"))
    for file in files:
        shutil.copyfile(file, data / _WEIGHTS / file.name)
    (path / "Manifest.json").write_text(_manifest(items))


def _item(path: str, name: str, description: str) -> dict[str, str]:
    return {"author": _AUTHOR, "description": description, "name": name, "path": path}


def _manifest(items: list[dict[str, str]]) -> str:
    entries = {_identifier(item["path"]): item for item in items}
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": _identifier(_SPECIFICATION),
    }
    return json.dumps(manifest, indent=4, sort_keys=True) + "\n"


def _identifier(path: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, path))
