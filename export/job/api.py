"""The Python interface. The command line calls this very function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from torch import Tensor, nn

from cnn_export.errors import UsageError, nearest
from cnn_export.job.pipeline import run
from cnn_export.job.request import ExportRequest, ExportResult, Step, silent_step
from cnn_export.models.identity_tensor_multiplier import Multiplier, parse_multiplier
from cnn_export.program.tensors import Layout, Precision
from cnn_export.quantization.calibration.reading import SYNTHETIC
from cnn_export.quantization.request import QuantizationRequest
from cnn_export.quantization.spelling import Border, DeviceProfile
from cnn_export.source.pixels import usable_normalization
from cnn_export.source.request import SourceRequest
from cnn_export.targets.options import TargetOptions

_LESS_THAN_FLOAT32: tuple[Precision, ...] = ("int8", "int8-weights", "int8-dynamic", "fp16")
_INTEGERS: tuple[Precision, ...] = ("int8", "int8-weights", "int8-dynamic")
_APPLIES_TO: dict[str, tuple[Precision, ...]] = {
    **dict.fromkeys(("calibration", "evaluation", "labels"), _LESS_THAN_FLOAT32),
    **dict.fromkeys(("keep_float", "strict"), _INTEGERS),
    **dict.fromkeys(("ranges", "io", "device_profile", "bias_correction", "equalize"), ("int8",)),
}
"""Setting → the precisions that have it."""


class Settings(TypedDict, total=False):
    """Everything optional of :func:`export`; names and defaults follow the command line.

    Attributes:
        output: file (one target) or folder to write; default: the current folder.
        model: a known model name, ``timm:NAME``, ``torchvision:NAME`` or ``package:callable``.
        model_args: arguments of the model's constructor, as values or as --model-arg spells them.
        weights_key: keys that lead to the tensors, joined by dots, where the file holds several
            sets of them (``"."`` for a bare one).
        allow_pickle: run the code inside a pickled checkpoint. Only for files you made.
        example_inputs: tensors, or dicts of them, in the order of ``forward``'s arguments; their
            shapes are traced.
        input_size: side, or (height, width), of an image input of shape (batch, channels, H, W).
        shapes: full input shapes by argument name, instead of ``input_size``; of the tensor ``b``
            in a dict ``a`` by ``"a.b"``.
        dtypes: beside ``shapes``, the dtypes of inputs that are not float32: ``"int64"``, ….
        batch: batch size, or ``"dynamic"``.
        precision: ``"fp32"``, ``"fp16"``, ``"int8"``, ``"int8-weights"`` or ``"int8-dynamic"``;
            inputs and outputs stay float32 unless ``io`` says otherwise.
        weights: ``"int8"``: the same as the precision ``"int8-weights"``.
        calibration: for int8, a folder of images, an ``.npz`` of arrays by input name (samples
            first), or ``"synthetic"``.
        evaluation: other samples, which accuracy is measured on; default: those of
            ``calibration``, of which int8 holds a part back.
        labels: a file with the class of each such sample.
        ranges: ``"minmax"``, ``"percentile:99.99"`` or ``"mse"``.
        keep_float: layers that stay float, by name, or ``["auto"]``.
        bias_correction: move every int8 layer's biases by what rounding shifts their means
            (default False: of the default's ranges it makes no better network).
        equalize: balance the ranges of channels between successive layers first, exactly (default
            False: scales per channel need it rarely).
        io: ``"float"``, ``"int8"`` or ``"uint8"`` inputs and outputs of an int8 artifact.
        device_profile: what an int8 ONNX file is for: ``"x86"`` or ``"htp"`` (uint8 activations,
            as without it) or ``"arm"`` (int8 activations).
        strict: refuse an operator that has no int8 form (default False: it stays float).
        layout: channel order of rank-4 inputs and outputs; ``"nhwc"`` is tflite's.
        opset: ONNX opset.
        ir_version: ONNX IR version.
        minimum_deployment_target: Core ML's, for example ``"iOS16"``.
        image_input: make Core ML take an image.
        normalize: ``"imagenet"`` or ``"m1,m2,m3/s1,s2,s3"``: take raw pixels, 0 to 255 in float32,
            and normalize them inside the artifact.
        tolerance: the error, in units of an output's RMS, that is accepted where the artifact
            cannot be proven closer; recorded as accepted, not as proven.
        samples: images, ``.npy`` or ``.npz`` files that the artifact is also proven on.
        identity_tensor_multiplier: 1, ``"1/2"``, 1/3 or 1/6: what a MobileNeXt was trained with,
            where nothing else says it; with ``approximate``, what shortcuts are changed to.
        approximate: let ``identity_tensor_multiplier`` change the network's function, and
            measure how far that takes the outputs (default False).
        reparam: run the reparameterization stage (default True).
        dry_run: do the whole job and keep nothing, to learn what the real run says.
        step: called with each step's name; the returned context spans the step.
    """

    output: str | Path | None
    model: str | None
    model_args: Mapping[str, Any]
    weights_key: str | None
    allow_pickle: bool
    example_inputs: Sequence[Tensor | Mapping[str, Tensor]] | None
    input_size: int | tuple[int, int] | None
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    batch: int | Literal["dynamic"]
    precision: Precision
    weights: Literal["int8"] | None
    calibration: str | Path | None
    evaluation: str | Path | None
    labels: str | Path | None
    ranges: str | None
    keep_float: Sequence[str]
    bias_correction: bool
    equalize: bool
    io: Border | None
    device_profile: DeviceProfile | None
    strict: bool
    layout: Layout
    opset: int | None
    ir_version: int | None
    minimum_deployment_target: str | None
    image_input: bool
    normalize: str | None
    tolerance: float | None
    samples: Sequence[str | Path]
    identity_tensor_multiplier: Multiplier | None
    approximate: bool
    reparam: bool
    dry_run: bool
    step: Step


def export(
    source: str | Path | nn.Module, target: str | Sequence[str], **settings: Unpack[Settings]
) -> ExportResult:
    """Export a checkpoint file or a module to one or more formats, proven equal or not written.

    Args:
        source: checkpoint path, or a module with its weights, which stays as it is.
        target: ``"onnx"``, ``"tflite"``, ``"coreml"``, ``"executorch"``, ``"all"``, or several.
        **settings: see :class:`Settings`.

    Returns:
        The written artifacts with their manifests, and the report of the rewrites.

    Raises:
        ExportError: a subclass says which: usage, parity, refused input, missing package.
    """
    _require_known(settings)
    options = TargetOptions(
        precision=_precision(settings),
        layout=settings.get("layout", "nchw"),
        opset=settings.get("opset"),
        ir_version=settings.get("ir_version"),
        minimum_deployment_target=settings.get("minimum_deployment_target"),
        image_input=settings.get("image_input", False),
        device_profile=settings.get("device_profile"),
    )
    output, examples = settings.get("output"), settings.get("example_inputs")
    normalize = settings.get("normalize")
    source_request = SourceRequest(
        network=source if isinstance(source, nn.Module) else Path(source),
        model=settings.get("model"),
        model_args=settings.get("model_args", {}),
        weights_key=settings.get("weights_key"),
        allow_pickle=settings.get("allow_pickle", False),
        input_size=_size(settings.get("input_size")),
        shapes=settings.get("shapes", {}),
        dtypes=settings.get("dtypes", {}),
        examples=None if examples is None else tuple(examples),
        batch=_batch(settings.get("batch", 1)),
        normalize=None if normalize is None else usable_normalization(normalize),
        takes_pixels=options.image_input,
        identity_tensor_multiplier=_multiplier(settings.get("identity_tensor_multiplier")),
        approximate=settings.get("approximate", False),
    )
    request = ExportRequest(
        source=source_request,
        targets=(target,) if isinstance(target, str) else tuple(target),
        output=None if output is None else Path(output),
        samples=tuple(Path(sample) for sample in settings.get("samples", ())),
        reparam=settings.get("reparam", True),
        dry_run=settings.get("dry_run", False),
        options=options,
        quantization=_quantization(settings, options.precision),
        tolerance=settings.get("tolerance"),
    )
    return run(request, settings.get("step", silent_step))


def _require_known(settings: Mapping[str, object]) -> None:
    for name in settings:
        if name not in Settings.__annotations__:
            raise UsageError(
                f"export() has no setting {name!r}.{nearest(name, Settings.__annotations__)}"
            )


def _precision(settings: Settings) -> Precision:
    """Return the precision, also where ``weights`` says it.

    Raises:
        UsageError: weights of another kind, or another precision beside them.
    """
    precision, weights = settings.get("precision", "fp32"), settings.get("weights")
    if weights is None:
        return precision
    if weights != "int8":
        raise UsageError(f"--weights {weights!r} does not exist; choose int8")
    if precision not in ("fp32", "int8-weights"):
        raise UsageError(
            f"--weights int8 leaves everything else in float32; drop it, or --precision {precision}"
        )
    return "int8-weights"


def _quantization(settings: Settings, precision: Precision) -> QuantizationRequest | None:
    """Return what is asked about fewer bits; ``None``: nothing.

    Raises:
        UsageError: the precision has no such option, or lacks data that it cannot do without.
    """
    given = {name: settings.get(name) for name in _APPLIES_TO if settings.get(name)}
    for name in given:
        if precision not in _APPLIES_TO[name]:
            option, others = "--" + name.replace("_", "-"), ", ".join(_APPLIES_TO[name])
            raise UsageError(
                f"{option} applies to --precision {others}, not to {precision}; drop it"
            )
    if precision not in _INTEGERS and not given:
        return None
    calibration, evaluation = given.get("calibration"), given.get("evaluation")
    _require_samples(precision, calibration, evaluation)
    if precision in _INTEGERS and not settings.get("reparam", True):
        raise UsageError(f"{precision} is decided on the reparameterized graph; drop --no-reparam")
    judged_only = precision != "int8"
    return QuantizationRequest(
        calibration=_samples(calibration),
        evaluation=_samples(evaluation) if judged_only else _path(settings.get("evaluation")),
        labels=_path(settings.get("labels")),
        ranges=settings.get("ranges"),
        keep_float=tuple(settings.get("keep_float", ())),
        border=settings.get("io") or "float",
        strict=settings.get("strict", False),
        bias_correction=settings.get("bias_correction", False),
        equalize=settings.get("equalize", False),
        precision=precision,
    )


def _require_samples(precision: Precision, calibration: object, evaluation: object) -> None:
    if precision == "int8" and not calibration:
        raise UsageError(
            "int8 takes its ranges from data: give --calibration DIR or FILE.npz with some hundred "
            f"samples of what the network will see, or --calibration {SYNTHETIC} for a file that "
            "is marked so"
        )
    if not (calibration or evaluation):
        raise UsageError(
            f"{precision} is judged on samples: give --evaluation DIR or FILE.npz with some hundred"
            f" of what the network will see, or --evaluation {SYNTHETIC} for a file that is marked"
            " as not judged"
        )


def _samples(given: object) -> Path | Literal["synthetic"] | None:
    if given is None or given == "":
        return None
    return SYNTHETIC if str(given) == SYNTHETIC else Path(str(given))


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size


def _multiplier(value: Multiplier | None) -> Fraction | None:
    try:
        return None if value is None else parse_multiplier(value)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _batch(batch: int | Literal["dynamic"]) -> int | None:
    if batch == "dynamic":
        return None
    if batch < 1:
        raise UsageError(f"the batch {batch} is not a positive number")
    return batch
