"""``NAME.manifest.json``: what an artifact is, where it came from, and how far it was proven.

The schema is versioned and validated on reading as on writing. It imports neither torch nor a
vendor package, so a benchmark runner can read it anywhere. No time, path, host or user is in it:
the same job gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from cnn_export.errors import InputRefused
from cnn_export.splitmix64 import ProbeKind

SCHEMA_VERSION = 1
MANIFEST_SUFFIX = ".manifest.json"
PROBE_VALUES = 16
"""How many leading values of each output the probe keeps."""

_MAX_MANIFEST_BYTES = 4 * 1024 * 1024

_SIZE_MAX = 2**31
_RANK_MAX = 8
_NHWC_RANK = 4


def _checked_size(size: int) -> int:
    if size != -1 and not 1 <= size <= _SIZE_MAX:
        raise ValueError(f"a size is -1 or 1 to {_SIZE_MAX}, not {size}")
    return size


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Shape = Annotated[list[Annotated[int, AfterValidator(_checked_size)]], Field(max_length=_RANK_MAX)]
DTypeName = Literal[
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Model):
    """The checkpoint: file name (no folder), content hash, what was recognised in it."""

    file: str
    sha256: Sha256 | None
    model: str
    arguments: dict[str, str]
    container: str


class Normalization(_Model):
    """Per-channel statistics: the checkpoint expects ``(pixel / 255 − mean) / std``."""

    mean: list[float]
    std: list[float]


class Tensor(_Model):
    """An input or output as the artifact declares it; ``-1`` marks the dynamic batch.

    ``normalization`` is left to the caller; ``normalization_inside`` the artifact does itself to
    raw pixels, 0 to 255.
    """

    name: str
    shape: Shape
    dtype: DTypeName
    layout: Literal["nchw", "nhwc"] | None = None
    normalization: Normalization | None = None
    normalization_inside: Normalization | None = None

    @model_validator(mode="after")
    def _channels_last_is_an_image(self) -> Self:
        if self.layout == "nhwc" and len(self.shape) != _NHWC_RANK:
            raise ValueError(f"layout nhwc needs {_NHWC_RANK} dimensions, not {self.shape}")
        return self


Tensors = Annotated[list[Tensor], Field(max_length=256)]


class Pass(_Model):
    """One reparameterization pass: how often it fired and what it refused."""

    name: str
    rewrites: int
    refusals: list[str] = []


class ParityFigure(_Model):
    """The largest error of one output on one probe, absolute and relative to its RMS."""

    probe: str
    output: str
    max_abs_error: float
    relative_error: float
    rms: float
    limit: float


class Parity(_Model):
    """What the artifact was executed with, against what, and every figure."""

    runtime: str
    reference: str
    tolerance_reason: str
    figures: list[ParityFigure]


class ProbeOutput(_Model):
    """The leading values (C order, artifact layout), RMS and shape of one expected output."""

    name: str
    shape: Shape
    values: list[float]
    rms: float


class ProbeRecord(_Model):
    """An input any runner can generate: SplitMix64 from ``seed + input index``, in C order.

    Values are generated in NCHW and reordered where an input is NHWC. With ``kind`` ``unit`` a
    floating input holds the generated u in [0, 1), with ``pixel`` the whole number floor(256·u);
    integer inputs hold floor(2·u). ``tolerance`` bounds |value − expected| / rms.
    """

    generator: Literal["splitmix64-top24"] = "splitmix64-top24"
    kind: ProbeKind = "unit"
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    outputs: Annotated[list[ProbeOutput], Field(max_length=256)]
    tolerance: float


class OutsideOperator(_Model):
    """An operator that the delegate leaves to the runtime's own kernels."""

    op: str
    count: int
    reason: str = ""


class Partitions(_Model):
    """How the artifact splits between its delegate and the runtime's own kernels."""

    delegate: str
    partitions: int
    delegated_ops: int
    outside: list[OutsideOperator]


class Drift(_Model):
    """How far one output moved on one probe: max |changed − original|, also over the RMS."""

    probe: str
    output: str
    max_abs_error: float
    relative_error: float
    rms: float


class Approximation(_Model):
    """A change of function that the user asked for: the artifact is not the checkpoint.

    ``shortcuts`` are the changed sums in the traced graph; parity figures compare with the
    changed network, ``drift`` compares that with the checkpoint, both in float64.
    """

    identity_tensor_multiplier: str
    trained_with: str
    shortcuts: Annotated[list[str], Field(max_length=4096)]
    drift: list[Drift]


class Manifest(_Model):
    """The whole record beside one artifact."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    artifact: str
    artifact_sha256: Sha256
    artifact_bytes: int
    target: str
    precision: Literal["fp32", "fp16"]
    source: Source
    versions: dict[str, str]
    inputs: Tensors
    outputs: Tensors
    passes: list[Pass]
    macs: int
    parameter_bytes: int
    partitions: Partitions
    parity: Parity
    probe: ProbeRecord
    approximation: Approximation | None = None

    @model_serializer(mode="wrap")
    def _without_empty_approximation(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        """Leave the field out of what is the checkpoint, so that older readers take it."""
        document: dict[str, object] = serialize(self)
        if self.approximation is None:
            document.pop("approximation", None)
        return document

    def to_json(self) -> str:
        """Return the file's text."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest.

    Raises:
        InputRefused: the file is missing, too large, or not a manifest of a known version.
    """
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise InputRefused(f"{path} is larger than any manifest; is it the right file?")
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputRefused(f"cannot read the manifest {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise InputRefused(f"{path} is not a valid manifest: {field}: {first['msg']}") from error


def manifest_path(artifact: Path) -> Path:
    """Return where the manifest of an artifact lies: ``model.tflite.manifest.json``."""
    return artifact.with_name(artifact.name + MANIFEST_SUFFIX)


def artifact_digest(path: Path) -> tuple[str, int]:
    """Return SHA-256 and size in bytes of a file, or of a folder's files in name order.

    A folder's digest covers each relative name and content length as well.

    Raises:
        InputRefused: there is nothing at ``path``.
    """
    if not path.exists():
        raise InputRefused(f"{path} does not exist; check the path")
    if path.is_file():
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest(), opened.tell()
    digest, total = hashlib.sha256(), 0
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
            hashlib.file_digest(opened, lambda: digest)  # continues the one digest
        total += size
    return digest.hexdigest(), total
