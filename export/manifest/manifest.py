"""``NAME.manifest.json``: what an artifact is, where it came from, and how far it was proven.

The schema is versioned and validated on reading as on writing. It imports neither torch nor a
vendor package, so a benchmark runner can read it anywhere. No time, path, host or user is in it:
the same job gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

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

from cnn_export.command_line.terminal import printable
from cnn_export.errors import InputRefused, one_line
from cnn_export.manifest import consistency
from cnn_export.manifest.consistency import PROBE_VALUES
from cnn_export.manifest.exact_numbers import EXACT_MAX
from cnn_export.proof.splitmix64 import ProbeKind
from cnn_export.untrusted import regular_file

SCHEMA_VERSION = 1
MANIFEST_SUFFIX = ".manifest.json"
ARTIFACT_BYTES_MAX = 2**34
"""No format holds a larger file or package of a convolutional network."""

_MAX_MANIFEST_BYTES = 4 * 1024 * 1024

_SIZE_MAX = 2**31
_RANK_MAX = 8
_NHWC_RANK = 4


def _checked_size(size: int) -> int:
    if size != -1 and not 1 <= size <= _SIZE_MAX:
        raise ValueError(f"a size is -1 or 1 to {_SIZE_MAX}, not {size}")
    return size


def _checked_name(name: str) -> str:
    if not name or name in (".", "..") or any(each in name for each in "/\0"):
        raise ValueError(f"a file's name without its folder, not {name!r}")
    return name


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Shape = Annotated[list[Annotated[int, AfterValidator(_checked_size)]], Field(max_length=_RANK_MAX)]
FileName = Annotated[str, Field(max_length=1024), AfterValidator(_checked_name)]
Count = Annotated[int, Field(ge=0, le=EXACT_MAX)]
Magnitude = Annotated[float, Field(ge=0)]
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

    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_deviation_each(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} standard deviations")
        return self


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


Tensors = Annotated[list[Tensor], Field(min_length=1, max_length=256)]


class Pass(_Model):
    """One reparameterization pass: how often it fired and what it refused."""

    name: str
    rewrites: Count
    refusals: list[str] = []


class ParityFigure(_Model):
    """The largest error of one output on one probe, absolute and relative to its RMS."""

    probe: str
    output: str
    max_abs_error: Magnitude
    relative_error: Magnitude
    rms: Magnitude
    limit: Magnitude


class Parity(_Model):
    """What the artifact was executed with, against what, and every figure."""

    runtime: str
    reference: str
    tolerance_reason: str
    figures: Annotated[list[ParityFigure], Field(min_length=1)]


class ProbeOutput(_Model):
    """The leading values (C order, artifact layout), RMS and shape of one expected output."""

    name: str
    shape: Shape
    values: Annotated[list[float], Field(min_length=1, max_length=PROBE_VALUES)]
    rms: Magnitude


class ProbeRecord(_Model):
    """An input any runner can generate: SplitMix64 from ``seed + input index``, in C order.

    Values are generated in NCHW and reordered where an input is NHWC. With ``kind`` ``unit`` a
    floating input holds the generated u in [0, 1), with ``pixel`` the whole number floor(256·u);
    integer inputs hold floor(2·u). ``tolerance`` bounds |value − expected| / rms of outputs that
    are not whole numbers; those (:attr:`Manifest.whole_outputs`) must be equal.
    """

    generator: Literal["splitmix64-top24"] = "splitmix64-top24"
    kind: ProbeKind = "unit"
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    outputs: Annotated[list[ProbeOutput], Field(min_length=1, max_length=256)]
    tolerance: Magnitude


class OutsideOperator(_Model):
    """An operator that the delegate leaves to the runtime's own kernels."""

    op: str
    count: Annotated[int, Field(ge=1, le=EXACT_MAX)]
    reason: str = ""


class Partitions(_Model):
    """How the artifact splits between its delegate and the runtime's own kernels."""

    delegate: str
    partitions: Count
    delegated_ops: Count
    outside: list[OutsideOperator]


class Drift(_Model):
    """How far one output moved on one probe: max |changed − original|, also over the RMS."""

    probe: str
    output: str
    max_abs_error: Magnitude
    relative_error: Magnitude
    rms: Magnitude


class Approximation(_Model):
    """A change of function that the user asked for: the artifact is not the checkpoint.

    ``shortcuts`` are the changed sums in the traced graph; parity figures compare with the
    changed network, ``drift`` compares that with the checkpoint, both in float64.
    """

    identity_tensor_multiplier: str
    trained_with: str
    shortcuts: Annotated[list[str], Field(max_length=4096)]
    drift: list[Drift]


TargetName = Literal["onnx", "tflite", "coreml", "executorch"]


class Manifest(_Model):
    """The whole record beside one artifact; its parts agree, see :mod:`.manifest_sense`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    artifact: FileName
    artifact_sha256: Sha256
    artifact_bytes: Annotated[int, Field(ge=1, le=ARTIFACT_BYTES_MAX)]
    target: TargetName
    precision: Literal["fp32", "fp16"]
    source: Source
    versions: dict[str, str]
    inputs: Tensors
    outputs: Tensors
    passes: list[Pass]
    macs: Count
    parameter_bytes: Count
    partitions: Partitions
    parity: Parity
    probe: ProbeRecord
    approximation: Approximation | None = None

    @model_validator(mode="after")
    def _is_one_story(self) -> Self:
        own: Any = self  # the type checker knows this class by two names
        if fault := consistency.contradiction(own):
            raise ValueError(fault)
        return self

    @model_serializer(mode="wrap")
    def _without_empty_approximation(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        """Leave the field out of what is the checkpoint, so that older readers take it."""
        document: dict[str, object] = serialize(self)
        if self.approximation is None:
            document.pop("approximation", None)
        return document

    @property
    def whole_outputs(self) -> frozenset[str]:
        """Names of outputs that hold whole numbers, also as floats: proven by a limit of 0."""
        integers = {each.name for each in self.outputs if not each.dtype.startswith("float")}
        return frozenset(integers | {f.output for f in self.parity.figures if f.limit == 0})

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


def manifest_path(artifact: Path) -> Path:
    """Return where the manifest of an artifact lies: ``model.tflite.manifest.json``."""
    return artifact.with_name(artifact.name + MANIFEST_SUFFIX)
