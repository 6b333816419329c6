"""Turn a request's source into the network to export: module, program, inputs, origin."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, fx, nn

from cnn_export.errors import UsageError
from cnn_export.job.request import ExportRequest
from cnn_export.manifest.fields import Source
from cnn_export.models.identity_tensor_multiplier import ARGUMENT
from cnn_export.program.program import Program, capture
from cnn_export.source.inputs import example_inputs, normalization_statistics, ordered_shapes
from cnn_export.source.pixels import FromPixels, refuse_no_image

if TYPE_CHECKING:
    from cnn_export.source import LoadedModel


@dataclasses.dataclass(frozen=True)
class Subject:
    """The original module, which every artifact is compared with, and what is known of it.

    ``normalization`` is what a caller has to do, ``normalization_inside`` what the module does
    itself to raw pixels. ``identity_tensor_multiplier`` is what the network says it was trained
    with; unread text where a user's own network says it.
    """

    module: nn.Module
    source: Source
    input_size: tuple[int, int, int] | None
    normalization: str | None
    examples: tuple[Tensor, ...] | None
    notes: tuple[str, ...]
    identity_tensor_multiplier: object = 1
    takes_pixels: bool = False
    normalization_inside: str | None = None


def default_stem(request: ExportRequest) -> str:
    """Return the artifacts' file name without ending: the checkpoint's, or the module's class."""
    if not isinstance(request.source, Path):
        return type(request.source).__name__.lower()
    name = request.source.name
    return name.removesuffix(".tar").rsplit(".", 1)[0] or name.lstrip(".")


def load_subject(request: ExportRequest) -> Subject:
    """Load the checkpoint, or take the module as it is (in eval mode)."""
    if isinstance(request.source, Path):
        return _taking_pixels(_from_checkpoint(request, request.source), request)
    if request.model or request.model_args or request.weights_key or request.allow_pickle:
        raise UsageError("model, model_args, weights_key and allow_pickle are for checkpoint files")
    module = request.source.eval()
    name = type(module).__name__
    source = Source(file="", sha256=None, model=name, arguments={}, container="module")
    multiplier = getattr(module, ARGUMENT, 1)
    subject = Subject(module, source, None, None, request.examples, (), multiplier)
    return _taking_pixels(subject, request)


def _recognised(request: ExportRequest, loaded: LoadedModel) -> tuple[str, ...]:
    if request.model is not None:
        return ()
    arguments = ", ".join(f"{key}={value}" for key, value in loaded.arguments.items())
    return (f"recognised as {loaded.name}" + (f"({arguments})" if arguments else ""),)


def _taking_pixels(subject: Subject, request: ExportRequest) -> Subject:
    """Move the normalization into the network, where pixels are asked for.

    ``normalize`` states it; an image package else does what is known of the checkpoint, and takes
    pixels as they are where nothing is.
    """
    if request.normalize is None and not request.options.image_input:
        return subject
    normalization = request.normalize or subject.normalization
    if normalization is None:
        return dataclasses.replace(subject, takes_pixels=True)
    return dataclasses.replace(
        subject,
        module=FromPixels(subject.module, normalization).eval(),
        normalization=None,
        notes=(*subject.notes, *_normalization_notes(normalization, subject.normalization)),
        takes_pixels=True,
        normalization_inside=normalization,
    )


def _normalization_notes(used: str, known: str | None) -> tuple[str, ...]:
    note = f"the artifact takes raw pixels and normalizes them itself ({used})"
    if known is None or normalization_statistics(used) == normalization_statistics(known):
        return (note,)
    return (note, f"{known} is known of the checkpoint and not used: check --normalize")


def capture_subject(subject: Subject, request: ExportRequest) -> Program:
    """Trace the module at the requested input sizes; an input keeps the network's own name."""
    examples = _examples(subject, request)
    if request.normalize is not None:
        refuse_no_image(request.normalize, examples)
    program = capture(subject.module, examples, dynamic_batch=request.batch is None)
    if request.normalize is None:
        return program
    name = _first_input(_network(subject, request))
    if name in [spec.name for spec in program.outputs]:
        return program
    image = dataclasses.replace(program.inputs[0], name=name)
    return dataclasses.replace(program, inputs=(image,))


def _network(subject: Subject, request: ExportRequest) -> nn.Module:
    """Return the module whose argument names the user knows."""
    module = subject.module
    if request.normalize is not None and isinstance(module, FromPixels):
        return module.network
    return module


def _first_input(network: nn.Module) -> str:
    if isinstance(network, fx.GraphModule):
        return next(node.name for node in network.graph.nodes if node.op == "placeholder")
    return next(iter(inspect.signature(network.forward).parameters))


def _from_checkpoint(request: ExportRequest, path: Path) -> Subject:
    from cnn_export.source import load_model

    loaded = load_model(
        path,
        model=request.model,
        model_args=request.model_args,
        weights_key=request.weights_key,
        allow_pickle=request.allow_pickle,
        identity_tensor_multiplier=request.identity_tensor_multiplier,
    )
    source = Source(
        file=path.name,
        sha256=loaded.source_sha256,
        model=loaded.name,
        arguments={key: str(value) for key, value in loaded.arguments.items()},
        container=loaded.container,
    )
    return Subject(
        module=loaded.module,
        source=source,
        input_size=loaded.input_size,
        normalization=loaded.normalization,
        examples=request.examples or loaded.example_inputs,
        notes=(*_recognised(request, loaded), *loaded.notes),
        identity_tensor_multiplier=loaded.arguments.get(
            ARGUMENT, getattr(loaded.module, ARGUMENT, 1)
        ),
    )


def _examples(subject: Subject, request: ExportRequest) -> tuple[Tensor, ...]:
    ways = (request.shapes, request.input_size, request.examples)
    if sum(bool(way) for way in ways) > 1:
        raise UsageError("--input-size, --input and example_inputs exclude one another; give one")
    if request.shapes:
        shapes = _named_shapes(_network(subject, request), request.shapes)
        _refuse_contradiction(request, shapes)
        return example_inputs(shapes)
    if request.input_size is None and subject.examples is not None:
        _refuse_contradiction(request, [tuple(t.shape) for t in subject.examples])
        return subject.examples
    if request.input_size is None and subject.input_size is None:
        raise UsageError(
            f"{subject.source.model} does not say what input it takes; give --input-size 224 "
            "or --input NAME=1x3x224x224"
        )
    channels, *size = subject.input_size or (3, 0, 0)
    height, width = request.input_size or (size[0], size[1])
    return example_inputs([(request.batch or 1, channels, height, width)])


def _refuse_contradiction(request: ExportRequest, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse a size or batch beside full shapes that say otherwise; a batch of 1 is the default."""
    if request.batch in (None, 1):
        return
    for shape in shapes:
        if shape[:1] != (request.batch,):
            raise UsageError(
                f"--batch {request.batch} contradicts the input shape "
                f"{'x'.join(map(str, shape))}; drop one of the two"
            )


def _named_shapes(
    module: nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> list[tuple[int, ...]]:
    parameters = inspect.signature(module.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    names = [p.name for p in parameters if p.kind in kinds]
    required = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    wanted = names[: max(len(required), len(shapes))]
    return ordered_shapes(shapes, wanted)
