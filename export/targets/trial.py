"""Run an artifact, or one operator, in its target; say which operator a failure comes from."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from cnn_export.errors import ExportError, OperatorRefused, one_line
from cnn_export.program.program import Program
from cnn_export.program.tensors import Layout, Session, Tensors
from cnn_export.targets.base import Target
from cnn_export.targets.diagnosis import plain
from cnn_export.targets.isolation import failing_operators
from cnn_export.targets.options import TargetOptions

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class RunningArtifact:
    """The file at ``path`` in its runtime: ``session`` runs it, ``program`` is what it computes."""

    path: Path
    session: Session
    program: Program
    layout: Layout


def opened(target: Target, path: Path) -> Session:
    """Return the artifact's session, which tells a failing runtime from a wrong result.

    Raises:
        OperatorRefused: the runtime does not load the artifact; the session raises it as well,
            where the runtime does not run it.
    """
    session = _running(target, lambda: target.load(path))
    return lambda inputs: _running(target, lambda: session(inputs))


def _running(target: Target, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except (ExportError, OSError):
        raise
    except Exception as error:  # whatever the vendor raises
        raise OperatorRefused(
            f"{target.runtime} cannot run what it becomes{plain(error)}"
        ) from error


def explained(
    error: OperatorRefused, target: Target, program: Program, options: TargetOptions
) -> OperatorRefused:
    """Return the refusal with the operators behind it, by name and source line, where known.

    What the converter itself named comes first. A table of what it knows only says which operators
    to try alone: it also lists what the converter decomposes.
    """
    alone = dataclasses.replace(options, layout="nchw", image_input=False, metadata={})
    reasons = (
        list(error.reasons)
        or _without_lowering(target, program, alone)
        or _failing(error, target, program, alone)
        or [f"{one_line(error)}; no operator alone does: --debug shows the vendor's message"]
    )
    named = [f"{target.name}: {reason}" for reason in reasons]
    return OperatorRefused("; ".join(named) + "; nothing was written", reasons)


def _without_lowering(target: Target, program: Program, options: TargetOptions) -> list[str]:
    if not _table_hits(target, program, options):
        return []

    def attempt(single: Program) -> str | None:
        hits = _table_hits(target, single, options)
        return ", ".join(hits) if hits and _fault(target, single, options) else None

    return [f"no lowering for {refusal}" for refusal in failing_operators(program, attempt)]


def _table_hits(target: Target, program: Program, options: TargetOptions) -> list[str]:
    try:
        found = target.refusals(program, options)
    except Exception:  # decompositions fail on what the converter failed on
        return []
    return [f"{refusal.reason} ({refusal.op})" for refusal in found]


def _failing(
    error: OperatorRefused, target: Target, program: Program, options: TargetOptions
) -> list[str]:
    def attempt(single: Program) -> str | None:
        fault = _fault(target, single, options)
        return one_line(fault) if fault and _alike(fault, error) else None

    return [str(refusal) for refusal in failing_operators(program, attempt)]


def _alike(fault: OperatorRefused, original: OperatorRefused) -> bool:
    """Whether an operator alone fails at the same step as the network, by the same kind of error.

    Some fail only because they are alone: ExecuTorch's pass for a batch norm without a convolution.
    """
    first, second = ((_step(each), type(each.__cause__)) for each in (fault, original))
    return first == second


def _step(error: OperatorRefused) -> str:
    """Return who refuses what: ``MIL op conv`` of ``MIL op conv (output_0): …``."""
    return re.split(r"[:(]", str(error), maxsplit=1)[0].strip()


def _fault(target: Target, program: Program, options: TargetOptions) -> OperatorRefused | None:
    """Convert and run a program; return what went wrong."""
    with tempfile.TemporaryDirectory(prefix="cnn-export-") as folder:
        path = Path(folder) / f"alone{target.suffix}"
        try:
            target.export(program, options, path)
            opened(target, path)(_inputs(program))
        except OperatorRefused as error:
            return error
        except Exception:  # another difficulty of an operator alone, which says nothing of it
            return None
    return None


def _inputs(program: Program) -> Tensors:
    given = zip(program.inputs, program.example_inputs, strict=True)
    return {spec.name: np.asarray(torch.clone(tensor)) for spec, tensor in given}
