"""The fields of a manifest: which there are, and what each of them may hold by itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cnn_export.proof.splitmix64 import ProbeKind
from cnn_export.proof.tolerances import EXACT_MAX

SCHEMA_VERSION = 1
ARTIFACT_BYTES_MAX = 2**34
"""No format holds a larger file or package of a convolutional network."""

PROBE_VALUES = 16
"""How many leading values of each output the probe keeps."""

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
    """One pass, of the reparameterization or a legalization: its rewrites, and what it refused.

    Each is proven equal, but for those that converters need where the export was made with
    ``--no-reparam``: the parity figures alone judge them.
    """

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
    are not whole numbers; those (:attr:`ManifestFields.whole_outputs`) must be equal.
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


class ManifestFields(_Model):
    """The whole record beside one artifact, each field by itself."""

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

    @property
    def whole_outputs(self) -> frozenset[str]:
        """Names of outputs that hold whole numbers, also as floats: proven by a limit of 0."""
        integers = {each.name for each in self.outputs if not each.dtype.startswith("float")}
        return frozenset(integers | {f.output for f in self.parity.figures if f.limit == 0})
