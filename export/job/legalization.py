"""The rewrites of a job: reparameterized once, then legalized per target from a copy."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import torch

from cnn_export.errors import InputRefused, OperatorRefused, ParityError, one_line
from cnn_export.program.normalization import Normalization
from cnn_export.program.program import Program
from cnn_export.program.tensors import Precision
from cnn_export.proof.parity import Reference, references
from cnn_export.reparam import Probe, ReparameterizationError, Report, make_probes
from cnn_export.reparam.cost import Cost
from cnn_export.reparam.cost import measure as measure_cost
from cnn_export.reparam.graph.copies import copied
from cnn_export.reparam.passes.affine.normalize_pixels import NormalizePixels
from cnn_export.reparam.report import joined
from cnn_export.reparam.stage import (
    map_input,
    narrow_graph,
    reparameterize_graph,
    rewrite_graph,
)
from cnn_export.source.pixels import FromPixels, rounded_caller_of, scale_and_offset
from cnn_export.source.source_model import SourceModel
from cnn_export.targets.base import OpRefusal
from cnn_export.targets.diagnosis import source_line
from cnn_export.targets.legalizations import Legalization, LegalizationPass


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


def normalize(program: Program, normalization: Normalization, *, prove_equal: bool) -> Report:
    """Let the program's graph take raw pixels, in place.

    Raises:
        ParityError: the pass failed, or did something else.
    """
    mapping = NormalizePixels(*scale_and_offset(normalization))
    caller = rounded_caller_of(normalization)
    try:
        return map_input(program.graph_module, mapping, caller, prove_equal=prove_equal)
    except ReparameterizationError as error:
        raise _refused(error, reparam=prove_equal) from error


def rounded_references(
    source: SourceModel, program: Program, expected: Sequence[Reference]
) -> Sequence[Reference]:
    """Return what the checkpoint answers where pixels are normalized by the numbers stored.

    In float64 those differ from the statistics themselves by more than a rewrite may.
    """
    inside = source.normalization_inside
    if inside is None:
        return expected
    network = FromPixels(source.module, rounded_caller_of(inside))
    return references(network, [each.probe for each in expected], program.outputs)


@dataclasses.dataclass(frozen=True)
class Legalized:
    """A program as one target takes it, and what its passes did (``None``: there were none).

    ``cost`` is that of the network before it is rounded to float16. ``obstacles`` are the operators
    that a required pass refused.
    """

    program: Program
    report: Report | None
    cost: Cost
    obstacles: tuple[OpRefusal, ...] = ()

    def refuse_obstacles(self) -> None:
        """Refuse a program that the format cannot hold.

        Raises:
            OperatorRefused: names every operator, its source line and what to do.
        """
        if self.obstacles:
            reasons = [str(each) for each in self.obstacles]
            raise OperatorRefused("; ".join(reasons), reasons)


def legalize(
    program: Program,
    legalizations: Mapping[str, Legalization],
    precision: Precision = "fp32",
    *,
    reparam: bool = True,
) -> dict[str, Legalized]:
    """Return the program as every target takes it; targets with one legalization share it.

    Where no pass has anything to do, that is the very program. Without ``reparam`` only those
    passes run that converters need, unproven: parity alone judges them.

    Raises:
        InputRefused, ParityError: as :func:`reparameterize`; the latter as well of what
            float16 cannot hold.
    """
    probes = functools.cache(functools.partial(make_probes, program.graph_module))

    def made(legalization: Legalization) -> Legalized:
        passes = [each for each in legalization.passes if reparam or each.always]
        legalized = _legalized(program, passes, probes if reparam else None)
        if precision != "fp16" or legalization.half is None:
            return legalized
        return _narrowed(legalized, legalization.half, prove_equal=reparam)

    try:
        results = {each: made(each) for each in dict.fromkeys(legalizations.values())}
    except ReparameterizationError as error:
        raise _refused(error, reparam=reparam) from error
    return {name: results[each] for name, each in legalizations.items()}


def _legalized(
    program: Program,
    passes: Sequence[LegalizationPass],
    probes: Callable[[], Sequence[Probe]] | None,
) -> Legalized:
    if not passes:
        return Legalized(program, None, measure_cost(program.graph_module))
    graph_module = copied(program.graph_module)
    each_pass = [entry.program_pass for entry in passes]
    if probes is None:
        report = rewrite_graph(graph_module, each_pass)
    else:
        report = reparameterize_graph(graph_module, each_pass, probes=probes)
    result = program.with_graph(graph_module) if report.modified else program
    return Legalized(result, report, report.after, _obstacles(result, passes, report))


def _narrowed(given: Legalized, half: LegalizationPass, *, prove_equal: bool) -> Legalized:
    graph_module = copied(given.program.graph_module)
    try:
        report = narrow_graph(
            graph_module, half.program_pass, dtype=torch.float16, prove_equal=prove_equal
        )
    except ReparameterizationError as error:
        raise ParityError(f"float16: {one_line(error)}; use --precision fp32") from error
    return Legalized(
        given.program.with_graph(graph_module) if report.modified else given.program,
        report if given.report is None else joined(given.report, report),
        given.cost,
        (*given.obstacles, *_obstacles(given.program, [half], report)),
    )


def _obstacles(
    program: Program, passes: Sequence[LegalizationPass], report: Report
) -> tuple[OpRefusal, ...]:
    nodes = {node.name: node for node in program.graph_module.graph.nodes}
    return tuple(
        OpRefusal(
            str(nodes[each.node].target), each.node, each.reason, source_line(nodes[each.node])
        )
        for entry, done in zip(passes, report.passes, strict=True)
        for each in done.refusals
        if entry.required
    )


def _refused(error: ReparameterizationError, *, reparam: bool = True) -> InputRefused | ParityError:
    kind = InputRefused if error.pass_name is None else ParityError
    advice = "--no-reparam exports the graph as traced" if reparam else "choose another target"
    return kind(f"reparameterization: {one_line(error)}; {advice}")


def _stage_probe(reference: Reference) -> Probe:
    """Hand the stage what the checkpoint computes, so it need not run the original again."""
    inputs = [torch.from_numpy(v) for v in reference.probe.inputs.values()]
    return Probe(
        inputs=tuple(t.double() if t.is_floating_point() else t for t in inputs),
        outputs=tuple(torch.from_numpy(v) for v in reference.outputs.values()),
    )
