"""What the network is fed while it is traced: sizes, shapes and example tensors."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from cnn_export.errors import UsageError, nearest
from cnn_export.proof.probes import PROBE_SEED
from cnn_export.source.request import SourceRequest
from cnn_export.source.structured_inputs import Example, flat

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_MAX_ELEMENTS = 2**28
_INSIDE = "."
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
        torch.bool,
    )
}


def positive_number(text: str) -> int | None:
    """Return the whole number from 1 to 999999999 that ``text`` spells, else None."""
    return int(text) if _NUMBER.fullmatch(text) else None


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of ``224`` or ``192x256``.

    Raises:
        UsageError: not a size.
    """
    sides = [positive_number(part) for part in text.split("x")]
    match sides:
        case [int(side)]:
            return side, side
        case [int(height), int(width)]:
            return height, width
        case _:
            raise UsageError(f"--input-size {text!r} is not a size; write 224 or HEIGHTxWIDTH")


def parse_shape(text: str) -> tuple[tuple[int, ...], str | None]:
    """Return the shape and the dtype, if one is named, of ``1x3x192x256`` or ``1:int64``.

    Raises:
        UsageError: not a shape, or no dtype of an input.
    """
    written, separator, dtype = text.partition(":")
    sizes = [positive_number(part) for part in written.split("x")]
    shape = tuple(size for size in sizes if size is not None)
    if len(shape) < len(sizes):
        raise UsageError(f"--input {text!r} is not a shape; write for example 1x3x224x224")
    return shape, dtype if separator else None


def _dtype(name: str) -> torch.dtype:
    if name not in _DTYPES:
        raise UsageError(
            f"inputs of {name!r} do not exist; choose {', '.join(_DTYPES)}.{nearest(name, _DTYPES)}"
        )
    return _DTYPES[name]


def example_inputs(
    shapes: Sequence[tuple[int, ...]], dtypes: Sequence[str] = ()
) -> tuple[torch.Tensor, ...]:
    """Return seeded tensors of these shapes: standard normal in float32, others zeros and ones.

    Raises:
        UsageError: a shape is larger than any network input, or there is no such dtype.
    """
    for shape in shapes:
        if math.prod(shape) > _MAX_ELEMENTS:
            raise UsageError(
                f"an input of {'x'.join(map(str, shape))} has more than {_MAX_ELEMENTS} elements; "
                "choose a smaller --input-size, --input or --batch"
            )
    generator = torch.Generator().manual_seed(PROBE_SEED)
    named = (*dtypes, *["float32"] * (len(shapes) - len(dtypes)))
    given = zip(shapes, named, strict=True)
    return tuple(_example(shape, _dtype(dtype), generator) for shape, dtype in given)


def _example(
    shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator
) -> torch.Tensor:
    if dtype == torch.float32:
        return torch.randn(shape, generator=generator)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def program_inputs(
    request: SourceRequest,
    network: nn.Module,
    name: str,
    known_size: tuple[int, int, int] | None,
    known_examples: tuple[torch.Tensor, ...] | None,
) -> tuple[Example, ...]:
    """Return what to trace ``network`` on, as asked for, else as its checkpoint knows.

    A shape named ``batch.image`` is that of the tensor ``image`` in the dict ``batch``. ``name`` is
    what the user knows the network by; ``known_size`` is (channels, height, width).

    Raises:
        UsageError: nothing says what it takes, or two things say it differently.
    """
    ways = (request.shapes, request.input_size, request.examples)
    if sum(bool(way) for way in ways) > 1:
        raise UsageError("--input-size, --input and example_inputs exclude one another; give one")
    _refuse_lone_dtypes(request)
    if request.shapes:
        return _named_examples(request, network)
    examples = request.examples or known_examples
    if request.input_size is None and examples is not None:
        _refuse_contradiction(request, [tuple(t.shape) for t in flat(examples)])
        return examples
    if request.input_size is None and known_size is None:
        raise UsageError(
            f"{name} does not say what input it takes; give --input-size 224 "
            "or --input NAME=1x3x224x224"
        )
    channels, *size = known_size or (3, 0, 0)
    height, width = request.input_size or (size[0], size[1])
    return example_inputs([(request.batch or 1, channels, height, width)])


def _named_examples(request: SourceRequest, network: nn.Module) -> tuple[Example, ...]:
    inner: dict[str, list[str]] = {}
    for name in request.shapes:
        argument, dot, _ = name.partition(_INSIDE)
        inner.setdefault(argument, []).extend([name] if dot else [])
    arguments = _arguments(network, len(inner))
    expected = [name for each in arguments for name in inner.get(each) or [each]]
    shapes = ordered_shapes(request.shapes, expected)
    _refuse_contradiction(request, shapes)
    dtypes = [request.dtypes.get(each, "float32") for each in expected]
    made = dict(zip(expected, example_inputs(shapes, dtypes), strict=True))
    return tuple(
        {name.partition(_INSIDE)[2]: made[name] for name in inner[each]}
        if inner[each]
        else made[each]
        for each in arguments
    )


def _refuse_lone_dtypes(request: SourceRequest) -> None:
    for name in request.dtypes:
        if name not in request.shapes:
            raise UsageError(
                f"dtypes name {name!r}, which has no shape; give both"
                f".{nearest(name, request.shapes)}"
            )


def _refuse_contradiction(request: SourceRequest, shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse a size or batch beside full shapes that say otherwise; a batch of 1 is the default."""
    if request.batch in (None, 1):
        return
    for shape in shapes:
        if shape[:1] != (request.batch,):
            raise UsageError(
                f"--batch {request.batch} contradicts the input shape "
                f"{'x'.join(map(str, shape))}; drop one of the two"
            )


def _arguments(network: nn.Module, count: int) -> list[str]:
    """Return the names of the arguments that ``count`` shapes are for: all that must be given."""
    parameters = inspect.signature(network.forward).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
    names = [p.name for p in parameters if p.kind in kinds]
    required = [p.name for p in parameters if p.kind in kinds and p.default is p.empty]
    return names[: max(len(required), count)]


def ordered_shapes(
    shapes: Mapping[str, tuple[int, ...]], expected: Sequence[str]
) -> list[tuple[int, ...]]:
    """Return shapes given by name in the order of the network's arguments.

    Raises:
        UsageError: a name is missing or unknown.
    """
    if sorted(shapes) != sorted(expected):
        raise UsageError(
            f"--input names {sorted(shapes)} do not fit the network's inputs {list(expected)}; "
            "give each of these once"
        )
    return [shapes[name] for name in expected]
