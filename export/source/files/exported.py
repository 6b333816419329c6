"""``.pt2`` → network and the inputs it was exported with."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from cnn_export.errors import CheckpointError, InputRefused
from cnn_export.source.files.described import built
from cnn_export.source.files.exported_shapes import check_sizes
from cnn_export.untrusted.bounded_process import Limits
from cnn_export.untrusted.rehearsal import rehearse
from cnn_export.untrusted.snapshot import Snapshot

_TRAINING_ARGUMENT = {"batch_norm": 5, "dropout": 2, "dropout_": 2, "feature_dropout": 2}
"""Index of the flag that is true while training, by ATen operator."""
_IMPORTED_TO_LOAD = (
    "torch._export.serde.serialize",
    "torch._inductor.cpp_builder",
    "torch.export.pt2_archive",
)
"""What torch imports in its first ``torch.export.load``: seconds, once here and not twice."""
_BASE_BYTES, _PER_BYTE = 2**30, 4
_BASE_S, _BYTES_PER_S = 20, 50_000_000


Loaded = tuple[nn.Module, tuple[torch.Tensor, ...] | None]


def load_exported(snapshot: Snapshot, description: dict[str, Any], *, allow_pickle: bool) -> Loaded:
    """Return the program's module and its sample inputs (None if none were saved).

    Raises:
        CheckpointError: damaged, unsafe, exported in training mode, or not of plain tensors.
    """
    if description["exported"]:
        if allow_pickle:
            return _loaded(snapshot, built(description, snapshot), partly=True)
        raise CheckpointError(
            f"{snapshot.path} holds {description['exported'][0]}, and loading that could run code;"
            " export a plain program. --allow-pickle loads it all the same: only for files whose"
            " author you trust"
        )
    stored = built(description, snapshot)
    for module in _IMPORTED_TO_LOAD:
        importlib.import_module(module)
    limits = Limits(
        memory_bytes=_BASE_BYTES + _PER_BYTE * snapshot.size,
        cpu_s=_BASE_S + snapshot.size // _BYTES_PER_S,
        libraries=True,
    )
    try:
        rehearse(lambda: _loaded(snapshot, stored), path=snapshot.path, limits=limits)
    except InputRefused as error:
        raise CheckpointError(str(error)) from error
    return _loaded(snapshot, stored)


def _loaded(
    snapshot: Snapshot, stored: dict[str, dict[str, torch.Tensor]], *, partly: bool = False
) -> Loaded:
    path, program = snapshot.path, _load(snapshot)
    for group, found in (("weights", program.state_dict), ("constants", program.constants)):
        known = {k: v for k, v in found.items() if not partly or k in stored[group]}
        _require_stored(path, group, known, stored[group])
    _refuse_training_mode(path, program.graph)
    module = _module(program)
    check_sizes(path, program, module)
    return module, _sample_inputs(path, program)


def _require_stored(
    path: Path, group: str, loaded: Mapping[str, Any], stored: Mapping[str, torch.Tensor]
) -> None:
    """Compare what torch has loaded with the records of the file, bit by bit."""
    for name, tensor in loaded.items():
        same = (
            name in stored and isinstance(tensor, torch.Tensor) and _is_same(tensor, stored[name])
        )
        if not same:
            raise CheckpointError(
                f"{path}: torch does not load what the file holds under {name} of its {group};"
                " export it again"
            )


def _is_same(one: Any, other: torch.Tensor) -> bool:
    return (
        isinstance(one, torch.Tensor)
        and one.dtype == other.dtype
        and one.shape == other.shape
        and torch.equal(_bytes(one), _bytes(other))
    )


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8)


def _load(snapshot: Snapshot) -> ExportedProgram:
    logger = logging.getLogger("torch.export")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The failure is raised below; torch would log its trace besides.
            logger.setLevel(logging.CRITICAL)
            with snapshot.opened() as file:
                return torch.export.load(file)
    except Exception as error:
        raise _damaged(snapshot.path, error) from error
    finally:
        logger.setLevel(level)


def _damaged(path: Path, error: Exception) -> CheckpointError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return CheckpointError(
        f"{path} cannot be loaded as an exported program ({lines[0]}); export it again with torch"
        f" {torch.__version__.partition('+')[0]}"
    )


def _module(program: ExportedProgram) -> fx.GraphModule:
    # Guards are code from the file and only repeat the shapes, which exported_shapes checks.
    unlifted = program.module(check_guards=False)
    # torch's own module refuses eval(), which every later step calls; the graph is in eval form.
    network = fx.GraphModule(unlifted, unlifted.graph, class_name="ExportedNetwork")
    network.eval()
    return network


def _refuse_training_mode(path: Path, graph: fx.Graph) -> None:
    for node in graph.nodes:
        if node.op != "call_function":
            continue
        index = _TRAINING_ARGUMENT.get(getattr(node.target, "__name__", "").partition(".")[0])
        if index is not None and len(node.args) > index and node.args[index] is True:
            raise CheckpointError(
                f"{path} was exported in training mode ({node.name});"
                " call model.eval() before torch.export.export"
            )


def _sample_inputs(path: Path, program: ExportedProgram) -> tuple[torch.Tensor, ...] | None:
    saved: Any = program.example_inputs
    if not saved:
        return None
    positional, named = saved
    if named or not all(isinstance(value, torch.Tensor) for value in positional):
        raise CheckpointError(
            f"{path} takes named or structured inputs; export it with positional tensors only"
        )
    return tuple(positional)
