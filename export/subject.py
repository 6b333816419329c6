"""Turn a request's source into the network to export: module, program, inputs, origin."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from cnn_export.errors import UsageError
from cnn_export.inputs import example_inputs, ordered_shapes
from cnn_export.manifest import Source
from cnn_export.pixels import FromPixels
from cnn_export.program import Program, capture
from cnn_export.request import ExportRequest

if TYPE_CHECKING:
    from cnn_export.checkpoint import LoadedModel


@dataclasses.dataclass(frozen=True)
class Subject:
    """The original module, which every artifact is compared with, and what is known of it."""

    module: nn.Module
    source: Source
    input_size: tuple[int, int, int] | None
    normalization: str | None
    examples: tuple[Tensor, ...] | None
    notes: tuple[str, ...]


def default_stem(request: ExportRequest) -> str:
    """Return the artifacts' file name without ending: the checkpoint's, or the module's class."""
    if not isinstance(request.source, Path):
        return type(request.source).__name__.lower()
    name = request.source.name
    return name.removesuffix(".tar").rsplit(".", 1)[0] or name.lstrip(".")


def load_subject(request: ExportRequest) -> Subject:
    """Load the checkpoint, or take the module as it is (in eval mode)."""
    if isinstance(request.source, Path):
        subject = _from_checkpoint(request, request.source)
        return _taking_pixels(subject) if request.options.image_input else subject
    if request.model or request.model_args or request.allow_pickle:
        raise UsageError("model, model_args and allow_pickle are for checkpoint files")
    module = request.source.eval()
    name = type(module).__name__
    source = Source(file="", sha256=None, model=name, arguments={}, container="module")
    return Subject(module, source, None, None, request.examples, ())


def _recognised(request: ExportRequest, loaded: LoadedModel) -> tuple[str, ...]:
    if request.model is not None:
        return ()
    arguments = ", ".join(f"{key}={value}" for key, value in loaded.arguments.items())
    return (f"recognised as {loaded.name}" + (f"({arguments})" if arguments else ""),)


def _taking_pixels(subject: Subject) -> Subject:
    """Move a known normalization into the network; without one it takes pixels as they are."""
    if subject.normalization is None:
        return subject
    module = FromPixels(subject.module, subject.normalization).eval()
    note = f"the package normalizes pixels itself ({subject.normalization})"
    return dataclasses.replace(
        subject, module=module, normalization=None, notes=(*subject.notes, note)
    )


def capture_subject(subject: Subject, request: ExportRequest) -> Program:
    """Trace the module at the requested input sizes."""
    return capture(subject.module, _examples(subject, request), dynamic_batch=request.batch is None)


def _from_checkpoint(request: ExportRequest, path: Path) -> Subject:
    from cnn_export.checkpoint import load_model

    loaded = load_model(
        path,
        model=request.model,
        model_args=request.model_args,
        allow_pickle=request.allow_pickle,
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
    )


def _examples(subject: Subject, request: ExportRequest) -> tuple[Tensor, ...]:
    ways = (request.shapes, request.input_size, request.examples)
    if sum(bool(way) for way in ways) > 1:
        raise UsageError("--input-size, --input and example_inputs exclude one another; give one")
    if request.shapes:
        shapes = _named_shapes(subject.module, request.shapes)
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
