"""``NAME.manifest.json``: what an artifact is, where it came from, and how far it was proven.

The schema is versioned and validated on reading as on writing. It imports neither torch nor a
vendor package, so a benchmark runner can read it anywhere. No time, path, host or user is in it:
the same job gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from cnn_export.command_line.terminal import printable
from cnn_export.errors import InputRefused, one_line
from cnn_export.manifest.consistency import contradiction
from cnn_export.manifest.fields import ManifestFields
from cnn_export.untrusted import regular_file

MANIFEST_SUFFIX = ".manifest.json"
_MAX_MANIFEST_BYTES = 4 * 1024 * 1024


class Manifest(ManifestFields):
    """The whole record beside one artifact; its parts agree, see :mod:`.consistency`."""

    @model_validator(mode="after")
    def _is_one_story(self) -> Self:
        if fault := contradiction(self):
            raise ValueError(fault)
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_so(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        """Leave those fields out of what is the checkpoint, or float: older readers take it."""
        document: dict[str, object] = serialize(self)
        for field in ("approximation", "quantization"):
            if getattr(self, field) is None:
                document.pop(field, None)
        return document

    def to_json(self) -> str:
        """Return the file's text."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest.

    Raises:
        InputRefused: the file is missing, no regular file, too large, or no manifest of a known
            version whose parts agree.
    """
    content = regular_file.read_bytes(path, _MAX_MANIFEST_BYTES)
    try:
        _refuse_repeated_fields(content)
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        fault = wrong_field(error)
    except (ValueError, RecursionError) as error:
        fault = f"the document: {one_line(error)}"
    raise InputRefused(f"{path} is not a valid manifest: {printable(fault)}; export again")


def wrong_field(error: ValidationError) -> str:
    """Return the first field that does not validate, and why, in one line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


def _refuse_repeated_fields(content: bytes) -> None:
    """Of two fields of one name every reader takes the one it likes."""

    def once(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"field {repeated!r} stands twice")

    json.loads(content, object_pairs_hook=once)


def not_proven(manifest: Manifest) -> str | None:
    """Say that and how far an artifact is not proven, ``None`` where it is."""
    accepted, figures = manifest.parity.accepted, manifest.parity.figures
    if accepted is None:
        return None
    worst = max(figures, key=lambda figure: figure.relative_error / (figure.limit or 1.0))
    return (
        f"{manifest.artifact} is not proven equal: {worst.output!r} is off by"
        f" {worst.relative_error:.2g} of its RMS, which proof allows {worst.limit:.2g} of; accepted"
        f" up to {accepted:g}, and recorded so"
    )


def manifest_path(artifact: Path) -> Path:
    """Return where the manifest of an artifact lies: ``model.tflite.manifest.json``."""
    return artifact.with_name(artifact.name + MANIFEST_SUFFIX)
