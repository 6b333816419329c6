"""The reparameterization stage: run the passes to a fixed point and prove the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import fx

from cnn_export.reparam.cost import Cost, measure
from cnn_export.reparam.graph.copies import adopt, copied, float64_copy
from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.graph.precision import cast, default_dtype, promoted_default, working_dtype
from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.program_pass import Decision, PassResult, ProgramPass
from cnn_export.reparam.proof.input_map import prove_input_map
from cnn_export.reparam.proof.narrowing import prove_narrowed
from cnn_export.reparam.proof.one_thread import one_thread
from cnn_export.reparam.proof.probe import Probe, make_probes
from cnn_export.reparam.proof.proof import TOLERANCE, prove
from cnn_export.reparam.proof.rounding import SHORT, refuse_lossy_rounding
from cnn_export.reparam.report import PassReport, Proof, Report

MAX_ROUNDS = 16
"""Rounds over all passes before the stage gives up; real networks need two or three."""


@dataclasses.dataclass(frozen=True)
class _History:
    """Every pass result, round by round."""

    rounds: tuple[tuple[PassResult, ...], ...]

    def steps(self, passes: Sequence[ProgramPass]) -> list[ProgramPass]:
        """Return the passes that changed the graph, in the order they did."""
        return [
            each
            for results in self.rounds
            for each, result in zip(passes, results, strict=True)
            if result.modified
        ]


@one_thread()
def reparameterize_graph(
    graph_module: fx.GraphModule,
    passes: Sequence[ProgramPass] = DEFAULT_PASSES,
    *,
    prove_equal: bool = True,
    probes: Callable[[], Sequence[Probe]] | None = None,
    tolerance: float | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> Report:
    """Rewrite a captured graph in place into a smaller, equal one.

    All passes work on a float64 copy; its weights are rounded to the graph's dtype once, at the
    end. Before that the copy is compared with the original on ``probes``, made here if not given,
    which costs one more forward each, and called for only where a pass fired. The given graph
    changes only if everything succeeded.

    Raises:
        ReparameterizationError: a pass failed, changed the result by more than the limit
            (relative, see :func:`~.proof.comparison.relative_error`), gave weights too
            large or too small for the dtype, or still fired after ``max_rounds``; or ``probes``
            gave none.
    """
    before = measure(graph_module)
    dtype = working_dtype(graph_module)

    def original() -> fx.GraphModule:
        return float64_copy(graph_module, dtype)

    with default_dtype(promoted_default(dtype)):
        work = original()
        history = _run_to_fixed_point(work, passes, max_rounds)
    steps = history.steps(passes)
    proof = Proof(0.0, TOLERANCE if tolerance is None else tolerance, 0) if prove_equal else None
    if steps:
        checked = _probes(graph_module, probes) if prove_equal else ()
        with default_dtype(promoted_default(dtype)):
            if checked:
                proof = prove(checked, work, steps, original, tolerance)
            _round(work, dtype)
        if checked and dtype in SHORT:
            refuse_lossy_rounding(checked, float64_copy(work, dtype), graph_module, dtype)
        adopt(graph_module, work)
    return _report(graph_module, passes, history, before, proof)


def rewrite_graph(graph_module: fx.GraphModule, passes: Sequence[ProgramPass]) -> Report:
    """Run the passes in place, in the graph's own dtype and unproven.

    For what converters need of a network that nothing can, or shall, be proven of.

    Raises:
        ReparameterizationError: a pass failed, or still fired after :data:`MAX_ROUNDS`.
    """
    before = measure(graph_module)
    history = _run_to_fixed_point(graph_module, passes, MAX_ROUNDS)
    return _report(graph_module, passes, history, before, None)


@one_thread()
def narrow_graph(
    graph_module: fx.GraphModule,
    narrowing: ProgramPass,
    *,
    dtype: torch.dtype,
    prove_equal: bool = True,
) -> Report:
    """Run in place the one pass that rounds a network's weights and arithmetic to ``dtype``.

    Proven is that it does nothing else, see :mod:`.proof.narrowing`.

    Raises:
        ReparameterizationError: the pass failed or did more, or nothing can be proven.
    """

    def prove_it(original: fx.GraphModule) -> Proof:
        return prove_narrowed(original, graph_module, narrowing, dtype)

    return _change_graph(graph_module, narrowing, prove_it if prove_equal else None)


@one_thread()
def map_input(
    graph_module: fx.GraphModule,
    mapping: ProgramPass,
    caller: Callable[[torch.Tensor], torch.Tensor],
    *,
    prove_equal: bool = True,
) -> Report:
    """Run in place a pass that does to the graph's input what its ``caller`` did.

    Proven is that it does nothing else, see :mod:`.proof.input_map`.

    Raises:
        ReparameterizationError: the pass failed, or did something else.
    """

    def prove_it(original: fx.GraphModule) -> Proof:
        return prove_input_map(original, graph_module, mapping, caller)

    return _change_graph(graph_module, mapping, prove_it if prove_equal else None)


def _change_graph(
    graph_module: fx.GraphModule,
    change: ProgramPass,
    prove_it: Callable[[fx.GraphModule], Proof] | None,
) -> Report:
    """Run in place a pass that is to change the function, proven by a rule of its own."""
    original = copied(graph_module)
    report = rewrite_graph(graph_module, [change])
    if not report.modified or prove_it is None:
        return report
    return dataclasses.replace(report, proof=prove_it(original))


def _report(
    graph_module: fx.GraphModule,
    passes: Sequence[ProgramPass],
    history: _History,
    before: Cost,
    proof: Proof | None,
) -> Report:
    return Report(
        passes=_pass_reports(passes, history),
        rounds=len(history.rounds),
        before=before,
        after=measure(graph_module),
        proof=proof,
    )


def _probes(
    graph_module: fx.GraphModule, given: Callable[[], Sequence[Probe]] | None
) -> Sequence[Probe]:
    probes = make_probes(graph_module) if given is None else given()
    if not probes:
        raise ReparameterizationError("no probe was given: nothing can be proven; give one or more")
    return probes


def _run_to_fixed_point(
    graph_module: fx.GraphModule, passes: Sequence[ProgramPass], max_rounds: int
) -> _History:
    rounds: list[tuple[PassResult, ...]] = []
    for _ in range(max_rounds):
        rounds.append(tuple(_run_pass(each, graph_module) for each in passes))
        if not any(result.modified for result in rounds[-1]):
            return _History(tuple(rounds))
    restless = [result.name for result in rounds[-1] if result.modified]
    raise ReparameterizationError(
        f"the passes did not come to rest in {max_rounds} rounds; {', '.join(restless)} still "
        "fired: leave it out and report it",
        restless[0],
    )


def _run_pass(program_pass: ProgramPass, graph_module: fx.GraphModule) -> PassResult:
    try:
        return program_pass(graph_module)
    except Exception as error:
        raise ReparameterizationError(
            f"pass {program_pass.name} failed: {type(error).__name__}: "
            f"{str(error).strip().partition(chr(10))[0]}",
            program_pass.name,
        ) from error


def _round(work: fx.GraphModule, dtype: torch.dtype) -> None:
    infinite = set(_infinite_names(work))
    cast(work, torch.float64, dtype)
    overflown = [name for name in _infinite_names(work) if name not in infinite]
    if overflown:
        raise ReparameterizationError(
            f"folded weights exceed the range of {dtype}: {overflown[0]}; export in float32"
        )


def _infinite_names(graph_module: fx.GraphModule) -> list[str]:
    stored = graph_module.state_dict()
    return [name for name, tensor in stored.items() if not bool(tensor.isfinite().all())]


def _pass_reports(passes: Sequence[ProgramPass], history: _History) -> tuple[PassReport, ...]:
    """Join the rounds per pass; only the last round's refusals still hold."""
    columns = zip(*history.rounds, strict=True)
    return tuple(
        PassReport(
            name=each.name,
            rewrites=tuple(name for result in column for name in result.rewrites),
            refusals=column[-1].refusals,
            decisions=_standing(column),
        )
        for each, column in zip(passes, columns, strict=True)
    )


def _standing(column: Sequence[PassResult]) -> tuple[Decision, ...]:
    """Return the decisions of every round for a rewrite, and the last round's against one."""
    taken = [each for result in column for each in result.decisions if each.taken]
    return (*taken, *(each for each in column[-1].decisions if not each.taken))
