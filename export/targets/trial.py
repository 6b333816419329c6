"""Run an artifact, or one operator, in its target; say which operator a failure comes from."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from cnn_export.errors import ExportError, OperatorRefused, one_line
from cnn_export.program import Program
from cnn_export.targets.base import Session, Target, TargetOptions, Tensors
from cnn_export.targets.diagnosis import plain
from cnn_export.targets.isolation import failing_operators

_T = TypeVar("_T")


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
    """Return the refusal with the operators behind it, by name and source line, where known."""
    reasons = (
        _without_lowering(target, program, options)
        or list(error.reasons)
        or _failing(target, program, options)
        or [f"{one_line(error)}; each operator alone is taken: --debug shows the vendor's message"]
    )
    named = [f"{target.name}: {reason}" for reason in reasons]
    return OperatorRefused("; ".join(named) + "; nothing was written", reasons)


def _without_lowering(target: Target, program: Program, options: TargetOptions) -> list[str]:
    try:
        found = target.refusals(program, options)
    except Exception:  # decompositions fail on what the converter failed on
        return []
    return [f"no lowering for {refusal}" for refusal in found]


def _failing(target: Target, program: Program, options: TargetOptions) -> list[str]:
    plain_options = dataclasses.replace(options, layout="nchw", image_input=False, metadata={})
    return [
        str(refusal)
        for refusal in failing_operators(
            program, lambda single: _fault(target, single, plain_options)
        )
    ]


def _fault(target: Target, program: Program, options: TargetOptions) -> str | None:
    """Convert and run a program; return what went wrong."""
    with tempfile.TemporaryDirectory(prefix="cnn-export-") as folder:
        path = Path(folder) / f"alone{target.suffix}"
        try:
            target.export(program, options, path)
            opened(target, path)(_inputs(program))
        except OperatorRefused as error:
            return one_line(error)
        except Exception:  # another difficulty of an operator alone, which says nothing of it
            return None
    return None


def _inputs(program: Program) -> Tensors:
    given = zip(program.inputs, program.example_inputs, strict=True)
    return {spec.name: np.asarray(torch.clone(tensor)) for spec, tensor in given}
