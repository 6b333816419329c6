"""The reparameterization of a job: once for all targets, then each target's form from a copy."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import torch

from cnn_export.errors import InputRefused, ParityError, one_line
from cnn_export.program.program import Program
from cnn_export.proof.parity import Reference
from cnn_export.reparam import Probe, ReparameterizationError, Report, make_probes
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.stage import reparameterize_graph
from cnn_export.targets.forms import Form


def reparameterize(program: Program, expected: Sequence[Reference]) -> Report:
    """Rewrite the program's graph in place, proven on every reference in float64.

    Raises:
        InputRefused: nothing can be proven of this network.
        ParityError: a pass failed or changed the result.
    """
    probes = [_stage_probe(each) for each in expected if each.dtype == "float64"]
    try:
        return reparameterize_graph(
            program.graph_module, probes=(lambda: probes) if probes else None
        )
    except ReparameterizationError as error:
        raise _refused(error) from error


@dataclasses.dataclass(frozen=True)
class Formed:
    """A program in one target's form, and what its passes did (``None``: switched off)."""

    program: Program
    report: Report | None


def spell(program: Program, forms: Mapping[str, Form]) -> dict[str, Formed]:
    """Return the program in every target's form; targets that want the same one share it.

    Where no pass has anything to do, that is the very program.

    Raises:
        InputRefused, ParityError: as :func:`reparameterize`.
    """
    probes = functools.cache(functools.partial(make_probes, program.graph_module))
    made = {form: _spelled(program, form, probes) for form in set(forms.values())}
    return {name: made[form] for name, form in forms.items()}


def _spelled(program: Program, form: Form, probes: Callable[[], Sequence[Probe]]) -> Formed:
    graph_module = copied(program.graph_module)
    passes = [entry.program_pass for entry in form]
    try:
        report = reparameterize_graph(graph_module, passes, probes=probes)
    except ReparameterizationError as error:
        raise _refused(error) from error
    return Formed(program.with_graph(graph_module) if report.modified else program, report)


def _refused(error: ReparameterizationError) -> InputRefused | ParityError:
    kind = InputRefused if error.pass_name is None else ParityError
    return kind(f"reparameterization: {one_line(error)}; --no-reparam exports the graph as traced")


def _stage_probe(reference: Reference) -> Probe:
    """Hand the stage what the checkpoint computes, so it need not run the original again."""
    inputs = [torch.from_numpy(v) for v in reference.probe.inputs.values()]
    return Probe(
        inputs=tuple(t.double() if t.is_floating_point() else t for t in inputs),
        outputs=tuple(torch.from_numpy(v) for v in reference.outputs.values()),
    )
