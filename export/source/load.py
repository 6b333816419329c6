"""From what a job is asked to the one finished value that the rest of it works on."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor, fx, nn

from cnn_export.errors import UsageError
from cnn_export.models.identity_tensor_multiplier import ARGUMENT, parse_multiplier
from cnn_export.models.registry import architectures
from cnn_export.program.normalization import Normalization, parse_normalization
from cnn_export.source.checkpoint import load_model
from cnn_export.source.inputs import program_inputs
from cnn_export.source.pixels import FromPixels, refuse_no_image
from cnn_export.source.request import MULTIPLIER_OPTION, SourceRequest
from cnn_export.source.source_model import Origin, SourceModel
from cnn_export.source.structured_inputs import with_flat_inputs


@dataclasses.dataclass(frozen=True)
class _Known:
    """What the checkpoint or module says by itself; ``multiplier`` is unread."""

    module: nn.Module
    origin: Origin
    multiplier: object
    input_size: tuple[int, int, int] | None = None
    normalization: Normalization | None = None
    examples: tuple[Tensor, ...] | None = None
    notes: tuple[str, ...] = ()


def load(request: SourceRequest) -> SourceModel:
    """Load the checkpoint, or take the module as it is, and settle what it takes.

    Raises:
        CheckpointError: as :func:`~cnn_export.source.checkpoint.load_model`.
        UsageError: the options contradict the network or one another; says which.
    """
    given = request.network
    known = (
        _from_checkpoint(request, given) if isinstance(given, Path) else _in_memory(request, given)
    )
    trained, wanted = _multipliers(request, known)
    module, inside, notes = _taking_pixels(known, request)
    # Whoever states the normalization knows the network without it, by its own argument's name.
    named = known.module if request.normalize else module
    model, size = known.origin.model, known.input_size
    given_examples = program_inputs(request, named, model, size, known.examples)
    module, examples = with_flat_inputs(module, given_examples)
    if inside is not None:
        refuse_no_image(inside, examples)
    if isinstance(given, Path):
        notes = (*notes, *_other_pooling(model, examples))
    return SourceModel(
        module=module,
        origin=known.origin,
        examples=examples,
        dynamic_batch=request.batch is None,
        input_name=_first_input(known.module) if request.normalize else None,
        normalization=None if inside else known.normalization,
        normalization_inside=inside,
        takes_pixels=_wants_pixels(request),
        shortcut_multiplier=trained,
        approximated_multiplier=wanted,
        notes=(*known.notes, *notes),
    )


def _in_memory(request: SourceRequest, module: nn.Module) -> _Known:
    if request.model or request.model_args or request.weights_key or request.allow_pickle:
        raise UsageError("model, model_args, weights_key and allow_pickle are for checkpoint files")
    origin = Origin("", None, type(module).__name__, {}, "module")
    return _Known(module, origin, getattr(module, ARGUMENT, 1))


def _from_checkpoint(request: SourceRequest, path: Path) -> _Known:
    loaded = load_model(
        path,
        model=request.model,
        model_args=request.model_args,
        weights_key=request.weights_key,
        allow_pickle=request.allow_pickle,
        identity_tensor_multiplier=request.identity_tensor_multiplier,
    )
    origin = Origin(
        file=path.name,
        sha256=loaded.source_sha256,
        model=loaded.name,
        arguments={key: str(value) for key, value in loaded.arguments.items()},
        container=loaded.container,
    )
    recognised = () if request.model is not None else (_recognised(loaded.name, loaded.arguments),)
    text = loaded.normalization
    return _Known(
        module=loaded.module,
        origin=origin,
        multiplier=loaded.arguments.get(ARGUMENT, getattr(loaded.module, ARGUMENT, 1)),
        input_size=loaded.input_size,
        normalization=None if text is None else parse_normalization(text),
        examples=loaded.example_inputs,
        notes=(*recognised, *loaded.notes),
    )


def _other_pooling(model: str, examples: Sequence[Tensor]) -> tuple[str, ...]:
    """Say where the authors' code averages other windows than this network at the image's size."""
    known = architectures().get(model)
    if known is None or known.authors_sides is None:
        return ()
    least, most = known.authors_sides
    return tuple(
        f"at {example.shape[-2]}x{example.shape[-1]} the network averages the whole last map, the"
        f" authors' code a window that is the whole from {least} to {most} pixels a side only: the"
        " outputs are not theirs"
        for example in examples
        if example.dim() == 4 and not all(least <= side <= most for side in example.shape[-2:])
    )


def _recognised(name: str, arguments: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return f"recognised as {name}" + (f"({listed})" if listed else "")


def _wants_pixels(request: SourceRequest) -> bool:
    return request.takes_pixels or request.normalize is not None


def _taking_pixels(
    known: _Known, request: SourceRequest
) -> tuple[nn.Module, Normalization | None, tuple[str, ...]]:
    """Return the network, the normalization to put inside where pixels are asked for, and notes.

    ``normalize`` states it; an image package else does what is known of the checkpoint, and takes
    pixels as they are where nothing is.
    """
    normalization = request.normalize or known.normalization
    if not _wants_pixels(request) or normalization is None:
        return known.module, None, ()
    notes = [f"the artifact takes raw pixels and normalizes them itself ({normalization.text})"]
    if known.normalization not in (None, normalization):
        notes.append(
            f"{known.normalization.text} is known of the checkpoint and not used: check --normalize"
        )
    return FromPixels(known.module), normalization, tuple(notes)


def _first_input(network: nn.Module) -> str:
    if isinstance(network, fx.GraphModule):
        return next(node.name for node in network.graph.nodes if node.op == "placeholder")
    return next(iter(inspect.signature(network.forward).parameters))


def _multipliers(request: SourceRequest, known: _Known) -> tuple[Fraction | None, Fraction | None]:
    """Return the shortcut multiplier that the network was trained with, and the one to give it.

    Raises:
        UsageError: the option names another multiplier than the network was trained with and
            the change is not asked for, or the same one and it is; or the network's is no 1/n.
    """
    wanted = request.identity_tensor_multiplier
    try:
        trained = parse_multiplier(known.multiplier)
    except ValueError as error:
        if wanted is None:  # a network of the user's own may call anything so
            return None, None
        raise UsageError(
            f"{known.origin.model} cannot be given {MULTIPLIER_OPTION}: {error}"
        ) from error
    if wanted is None:
        return trained, None
    if wanted != trained and not request.approximate:
        raise UsageError(
            f"{MULTIPLIER_OPTION} {wanted} makes another function of this network, trained with"
            f" {trained}; drop the option, or add --approximate to export that and have the drift"
            " measured"
        )
    if wanted == trained and request.approximate:
        raise UsageError(
            f"--approximate has nothing to approximate: the network's identity tensor multiplier"
            f" is {trained}; drop it, or say with --model-arg what the network was trained with"
        )
    return trained, wanted if request.approximate else None
