"""The fields of a manifest: which there are, and what each of them may hold by itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cnn_export.manifest.field_types import (
    Count,
    DTypeName,
    FileName,
    Magnitude,
    Record,
    Sha256,
    Shape,
)
from cnn_export.manifest.quantization_fields import Quantization, Scale
from cnn_export.proof.splitmix64 import ProbeKind
from cnn_export.proof.tolerances import ACCEPTED_MAX, EXACT_MAX

SCHEMA_VERSION = 1
ARTIFACT_BYTES_MAX = 2**34
"""No format holds a larger file or package of a convolutional network."""

PROBE_VALUES = 16
"""How many leading values of each output the probe keeps."""

_NHWC_RANK = 4


class Source(Record):
    """The checkpoint: file name (no folder), content hash, what was recognised in it."""

    file: str
    sha256: Sha256 | None
    model: str
    arguments: dict[str, str]
    container: str


class Normalization(Record):
    """Per-channel statistics: the checkpoint expects ``(pixel / 255 − mean) / std``."""

    mean: Annotated[list[float], Field(min_length=1)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_deviation_each(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} standard deviations")
        return self


class Tensor(Record):
    """An input or output as the artifact declares it; ``-1`` marks the dynamic batch.

    ``normalization`` is left to the caller; ``normalization_inside`` the artifact does itself to
    raw pixels, 0 to 255. ``quantization`` is what an integer one stands for, where that is known.
    """

    name: str
    shape: Shape
    dtype: DTypeName
    layout: Literal["nchw", "nhwc"] | None = None
    normalization: Normalization | None = None
    normalization_inside: Normalization | None = None
    quantization: Scale | None = None

    @model_serializer(mode="wrap")
    def _without_absent_scale(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave the field out of what is no integer of int8, so that older readers take it."""
        document: dict[str, object] = serialize(self)
        if self.quantization is None:
            document.pop("quantization", None)
        return document

    @model_validator(mode="after")
    def _channels_last_is_an_image(self) -> Self:
        if self.layout == "nhwc" and len(self.shape) != _NHWC_RANK:
            raise ValueError(f"layout nhwc needs {_NHWC_RANK} dimensions, not {self.shape}")
        return self


Tensors = Annotated[list[Tensor], Field(min_length=1, max_length=256)]


class Pass(Record):
    """One pass, of the reparameterization or a legalization: its rewrites, and what it refused.

    Each is proven equal, but for those that converters need where the export was made with
    ``--no-reparam``: the parity figures alone judge them.
    """

    name: str
    rewrites: Count
    refusals: list[str] = Field(default_factory=list[str])


class ParityFigure(Record):
    """The largest error of one output on one probe, absolute and relative to its RMS."""

    probe: str
    output: str
    max_abs_error: Magnitude
    relative_error: Magnitude
    rms: Magnitude
    limit: Magnitude


class Parity(Record):
    """What the artifact was executed with, against what, and every figure.

    ``accepted`` is there where a figure is over its limit: the error, over the output's RMS, up to
    which the user accepted it. Such an artifact was measured, and is not proven.
    """

    runtime: str
    reference: str
    tolerance_reason: str
    figures: Annotated[list[ParityFigure], Field(min_length=1)]
    accepted: Annotated[float, Field(gt=0, le=ACCEPTED_MAX)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_so(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, object]:
        """Leave the field out of what is proven: older readers take it, and refuse the other."""
        document: dict[str, object] = serialize(self)
        if self.accepted is None:
            document.pop("accepted", None)
        return document


class ProbeOutput(Record):
    """The leading values (C order, artifact layout), RMS and shape of one expected output."""

    name: str
    shape: Shape
    values: Annotated[list[float], Field(min_length=1, max_length=PROBE_VALUES)]
    rms: Magnitude


class ProbeRecord(Record):
    """An input any runner can generate: SplitMix64 from ``seed + input index``, in C order.

    Values are generated in NCHW and reordered where an input is NHWC. With ``kind`` ``unit`` a
    floating input holds the generated u in [0, 1), with ``pixel`` the whole number floor(256·u), a
    uint8 input then as well, and an int8 input 128 less; other integers hold floor(2·u).
    ``tolerance`` bounds |value − expected| / rms of outputs that are not whole numbers; those
    (:attr:`ManifestFields.whole_outputs`) must be equal.
    """

    generator: Literal["splitmix64-top24"] = "splitmix64-top24"
    kind: ProbeKind = "unit"
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    outputs: Annotated[list[ProbeOutput], Field(min_length=1, max_length=256)]
    tolerance: Magnitude


class OutsideOperator(Record):
    """An operator that the delegate leaves to the runtime's own kernels."""

    op: str
    count: Annotated[int, Field(ge=1, le=EXACT_MAX)]
    reason: str = ""


class Partitions(Record):
    """How the artifact splits between its delegate and the runtime's own kernels."""

    delegate: str
    partitions: Count
    delegated_ops: Count
    outside: list[OutsideOperator]


class Drift(Record):
    """How far one output moved on one probe: max |changed − original|, also over the RMS."""

    probe: str
    output: str
    max_abs_error: Magnitude
    relative_error: Magnitude
    rms: Magnitude


class Approximation(Record):
    """A change of function that the user asked for: the artifact is not the checkpoint.

    ``shortcuts`` are the changed sums in the traced graph; parity figures compare with the
    changed network, ``drift`` compares that with the checkpoint, both in float64.
    """

    identity_tensor_multiplier: str
    trained_with: str
    shortcuts: Annotated[list[str], Field(max_length=4096)]
    drift: list[Drift]


TargetName = Literal["onnx", "tflite", "coreml", "executorch"]


class ManifestFields(Record):
    """The whole record beside one artifact, each field by itself."""

    schema_version: Literal[1] = SCHEMA_VERSION
    producer: str
    artifact: FileName
    artifact_sha256: Sha256
    artifact_bytes: Annotated[int, Field(ge=1, le=ARTIFACT_BYTES_MAX)]
    target: TargetName
    precision: Literal["fp32", "fp16", "int8", "int8-weights", "int8-dynamic"]
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
    quantization: Quantization | None = None

    @property
    def whole_outputs(self) -> frozenset[str]:
        """Names of outputs that hold whole numbers, also as floats: proven by a limit of 0."""
        integers = {each.name for each in self.outputs if not each.dtype.startswith("float")}
        return frozenset(integers | {f.output for f in self.parity.figures if f.limit == 0})
