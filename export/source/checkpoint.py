"""One call from checkpoint file to network: read, recognise, match, fill."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnn_export.errors import CheckpointError, ExportError, InputRefused, UsageError, one_line
from cnn_export.source.contents.float_tensors import usable
from cnn_export.source.files.exported import load_exported
from cnn_export.source.files.formats import kind_of, sniff
from cnn_export.source.files.reading import describe, notes_on, read
from cnn_export.source.networks.model_arguments import parse_arguments
from cnn_export.source.networks.model_names import Source, parse_source
from cnn_export.source.recognition.multiplier import Hints, hints_for
from cnn_export.source.recognition.resolve import network_for
from cnn_export.source.recorded.normalization import recorded_normalization
from cnn_export.source.recorded.recorded import Size, recorded_input_size
from cnn_export.source.weight_sets.containers import Contents, open_container
from cnn_export.untrusted.snapshot import Snapshot, taken


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A network with the checkpoint's weights, and where both came from.

    ``module`` is in eval mode with float32 weights. ``name`` is its ``--model`` spelling, or
    ``pt2``, or ``module:class`` of an unpickled network. ``input_size`` is (channels, height,
    width), recorded in the checkpoint or published; ``normalization`` is ``imagenet`` or
    ``mean/std`` where known. ``container`` is the key that led to the tensors, empty for a bare
    state_dict. ``example_inputs`` come with ``.pt2`` files only.
    """

    module: nn.Module
    name: str
    arguments: Mapping[str, Any]
    input_size: tuple[int, int, int] | None
    normalization: str | None
    source_sha256: str
    container: str
    example_inputs: tuple[torch.Tensor, ...] | None = None
    notes: tuple[str, ...] = ()


_NO_ARGUMENTS: Mapping[str, str] = {}


def load_model(
    path: Path,
    *,
    model: str | None = None,
    model_args: Mapping[str, Any] = _NO_ARGUMENTS,
    weights_key: str | None = None,
    allow_pickle: bool = False,
    identity_tensor_multiplier: Fraction | None = None,
) -> LoadedModel:
    """Load a ``.pt``, ``.pth``, ``.pth.tar``, ``.safetensors`` or ``.pt2`` file.

    Without ``model`` the network is recognised by tensor names and shapes; every tensor of file
    and network must match either way. ``weights_key`` leads to the tensors where the file holds
    several sets of them. ``allow_pickle`` runs whatever code the file holds.
    ``identity_tensor_multiplier`` states a MobileNeXt's where ``model_args``, the checkpoint and
    its folder do not say it; otherwise it changes nothing here.

    Raises:
        CheckpointError: missing, damaged, unsafe, not finite, ambiguous or not matching; or an
            argument that no tensor shows is not said.
        UsageError: ``model`` or ``model_args`` name nothing that exists.
        TargetUnavailable: ``timm:`` is asked for and not installed.
    """
    source = None if model is None else parse_source(model)
    given = parse_arguments(model_args)
    with _errors_name(path), taken(path, kind_of) as snapshot:
        kind = sniff(snapshot)
        description = describe(snapshot, kind, allow_pickle=allow_pickle)
        if "exported" in description:
            if source or given or weights_key:
                raise UsageError(
                    f"{path} brings its own network; drop --model, --model-arg and --weights-key"
                )
            return _exported(snapshot, description, allow_pickle)
        loaded, notes = read(description, snapshot, kind, allow_pickle=allow_pickle)
        contents = open_container(loaded, weights_key)
        contents = dataclasses.replace(contents, notes=(*notes, *contents.notes))
        if contents.module is not None and source is None and not given:
            return _unpickled(snapshot.sha256, contents, contents.module)
        hints = hints_for(path, identity_tensor_multiplier)
        return _recognised(snapshot.sha256, contents, source, given, hints)


@contextlib.contextmanager
def _errors_name(path: Path) -> Generator[None]:
    """Say which file a refusal is about, where the message does not yet; it is the checkpoint."""
    try:
        yield
    except InputRefused as error:
        if isinstance(error, CheckpointError) and str(path) in str(error):
            raise
        named = str(error) if str(path) in str(error) else f"{path}: {error}"
        raise CheckpointError(named) from error
    except (ExportError, OSError, MemoryError):
        raise
    except Exception as error:  # whatever a crafted file brings about
        raise CheckpointError(
            f"{path}: what it holds cannot be made sense of: {type(error).__name__}:"
            f" {one_line(error)}; save model.state_dict() alone"
        ) from error


def _recognised(
    source_sha256: str,
    contents: Contents,
    source: Source | None,
    given: Mapping[str, Any],
    hints: Hints,
) -> LoadedModel:
    module, candidate, notes = network_for(
        contents.tensors, contents.entries, contents.metadata, source, given, hints
    )
    size, normalization, ignored = _recorded_input(contents, candidate.input_size)
    return LoadedModel(
        module=module,
        name=candidate.label,
        arguments=dict(candidate.arguments),
        input_size=size,
        normalization=normalization or candidate.normalization,
        source_sha256=source_sha256,
        container=contents.container,
        notes=(*contents.notes, *notes, *ignored),
    )


def _recorded_input(
    contents: Contents, published: Size | None
) -> tuple[Size | None, str | None, tuple[str, ...]]:
    """Return input size (else the published one), recorded normalization, and notes."""
    size, size_notes = recorded_input_size(contents.metadata)
    size = size or published
    normalization, notes = recorded_normalization(contents.metadata, size[0] if size else None)
    return size, normalization, (*size_notes, *notes)


def _unpickled(source_sha256: str, contents: Contents, module: nn.Module) -> LoadedModel:
    _tensors, conversions = usable(contents.tensors)
    size, normalization, ignored = _recorded_input(contents, None)
    kind = type(module)
    return LoadedModel(
        module=module.float().eval().requires_grad_(False),
        name=f"{kind.__module__}:{kind.__qualname__}",
        arguments={},
        input_size=size,
        normalization=normalization,
        source_sha256=source_sha256,
        container=contents.container,
        notes=(*contents.notes, *conversions, *ignored),
    )


def _exported(snapshot: Snapshot, description: dict[str, Any], allow_pickle: bool) -> LoadedModel:
    module, inputs = load_exported(snapshot, description, allow_pickle=allow_pickle)
    _tensors, conversions = usable(module.state_dict())
    if conversions:
        raise CheckpointError(
            f"{snapshot.path} computes in another type than float32; export it in float32"
        )
    first = tuple(inputs[0].shape[1:]) if inputs else ()
    return LoadedModel(
        module=module,
        name="pt2",
        arguments={},
        input_size=(first[0], first[1], first[2]) if len(first) == 3 else None,
        normalization=None,
        source_sha256=snapshot.sha256,
        container="",
        example_inputs=inputs,
        notes=notes_on(description),
    )
