"""Events joined with the file's cost: one table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cnn_export.benchmarks.cost.artifact_cost import ArtifactCost, OpCost
from cnn_export.benchmarks.profiles.alignment import align
from cnn_export.benchmarks.profiles.document import OpTime
from cnn_export.benchmarks.profiles.trace import Event, Trace

UNJOINED = (
    "The runtime's operators could not be told apart by order and kind, so macs and mac_bytes are "
    "left out."
)


def joined(trace: Trace, cost: ArtifactCost) -> tuple[list[OpTime], list[str], list[str]]:
    """Return the operators with their costs, the file's operators without a time, and notes."""
    covers, notes = _covers(trace.events, cost.ops)
    by_name = {op.name: op for op in cost.ops}
    medians = [float(np.median(event.samples_ns)) for event in trace.events]
    total = sum(medians) or 1.0
    ops = [
        _op_time(event, median, total, names, by_name)
        for event, median, names in zip(trace.events, medians, covers, strict=True)
    ]
    timed = {name for names in covers for name in names}
    untimed = [op.name for op in cost.ops if op.name not in timed and (op.mac_bytes or op.macs)]
    return ops, untimed, notes


def sum_ns(trace: Trace) -> float:
    """Return the median over inferences of the sum over operators."""
    if not trace.events:
        return 0.0
    return float(np.median(np.sum([event.samples_ns for event in trace.events], axis=0)))


def _covers(
    events: Sequence[Event], ops: Sequence[OpCost]
) -> tuple[list[tuple[str, ...]], list[str]]:
    if all(event.covers is not None for event in events):
        return [event.covers or () for event in events], []
    found = align([event.kind for event in events], ops)
    if found is None:
        return [()] * len(events), [UNJOINED]
    return found, []


def _op_time(
    event: Event,
    median_ns: float,
    total_ns: float,
    names: Iterable[str],
    by_name: Mapping[str, OpCost],
) -> OpTime:
    covered = [by_name[name] for name in names if name in by_name]
    macs = [op.macs for op in covered]
    known = [each for each in macs if each is not None]
    return OpTime(
        name=event.name,
        kind=event.kind,
        covers=[op.name for op in covered],
        median_ns=median_ns,
        share=median_ns / total_ns,
        macs=sum(known) if covered and len(known) == len(macs) else None,
        mac_bytes=fused_bytes(covered) if covered else None,
    )


def fused_bytes(chain: Sequence[OpCost]) -> int:
    """Return the bytes of operators fused into one: without what only passes between them.

    Each but the last no longer writes its result, and the next no longer reads it; a result that
    two operators of the chain read is still counted once.
    """
    between = 2 * sum(op.output_bytes for op in chain[:-1])
    return max(sum(op.mac_bytes for op in chain) - between, chain[-1].output_bytes)
