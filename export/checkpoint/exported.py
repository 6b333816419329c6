"""``.pt2`` → network and the inputs it was exported with."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from cnn_export.checkpoint.exported_safety import dangers
from cnn_export.checkpoint.exported_shapes import check_sizes
from cnn_export.errors import CheckpointError
from cnn_export.untrusted.snapshot import Snapshot

_TRAINING_ARGUMENT = {"batch_norm": 5, "dropout": 2, "dropout_": 2, "feature_dropout": 2}
"""Index of the flag that is true while training, by ATen operator."""


def load_exported(
    snapshot: Snapshot, *, allow_pickle: bool
) -> tuple[nn.Module, tuple[torch.Tensor, ...] | None]:
    """Return the program's module and its sample inputs (None if none were saved).

    Raises:
        CheckpointError: damaged, unsafe, exported in training mode, or not of plain tensors.
    """
    path = snapshot.path
    found = next(_dangers(snapshot), None)
    if found and not allow_pickle:
        raise CheckpointError(
            f"{path} holds {found}, and loading that could run code; export a plain program."
            " --allow-pickle loads it all the same: only for files whose author you trust"
        )
    program = _load(snapshot)
    _refuse_training_mode(path, program.graph)
    module = _module(program)
    check_sizes(path, program, module)
    return module, _sample_inputs(path, program)


def _dangers(snapshot: Snapshot) -> Iterator[str]:
    try:
        yield from dangers(snapshot.own_path)
    except Exception as error:
        raise _damaged(snapshot.path, error) from error


def _load(snapshot: Snapshot) -> ExportedProgram:
    logger = logging.getLogger("torch.export")
    level = logger.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # The failure is raised below; torch would log its trace besides.
            logger.setLevel(logging.CRITICAL)
            return torch.export.load(snapshot.own_path)
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
