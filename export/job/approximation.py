"""``--approximate``: another function than the checkpoint's, asked for and measured.

Where ``--identity-tensor-multiplier`` only states what a network was trained with, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from cnn_export.errors import UsageError
from cnn_export.manifest.fields import Approximation, Drift
from cnn_export.program.program import Program
from cnn_export.proof.parity import Reference, compare_references, references
from cnn_export.reparam import ReparameterizationError
from cnn_export.reparam.passes.partial_shortcuts.approximate_shortcuts import shorten_shortcuts
from cnn_export.source.request import MULTIPLIER_OPTION


def approximate(
    program: Program,
    multiplier: Fraction,
    trained: Fraction | None,
    originals: Sequence[Reference],
) -> tuple[list[Reference], Approximation]:
    """Give every shortcut of the graph the multiplier, in place, and measure the difference.

    Returns:
        What the changed graph computes on the probes of ``originals``, and the record of the
        change.

    Raises:
        UsageError: the network has no shortcut to change, or one that cannot have that many
            channels, or would have none.
        InputRefused: the changed network overflows.
    """
    shortcuts = _changed_shortcuts(program, multiplier)
    probes = [original.probe for original in originals]
    changed = references(program.graph_module, probes, program.outputs)
    approximation = Approximation(
        identity_tensor_multiplier=str(multiplier),
        trained_with=str(trained),
        shortcuts=list(shortcuts),
        drift=[
            Drift(probe=p.name, output=name, max_abs_error=drift, relative_error=part, rms=rms)
            for p, original, reference in zip(probes, originals, changed, strict=True)
            for name, drift, part, rms in compare_references(reference, original)
        ],
    )
    return changed, approximation


def _changed_shortcuts(program: Program, multiplier: Fraction) -> tuple[str, ...]:
    try:
        changed = shorten_shortcuts(program.graph_module, multiplier)
    except ReparameterizationError as error:
        raise UsageError(f"{MULTIPLIER_OPTION} {multiplier}: {error}") from error
    if not changed:
        raise UsageError(
            f"{MULTIPLIER_OPTION} {multiplier} finds no shortcut (x + f(x) on images) to change in"
            " this network; drop it"
        )
    return changed


def described(approximation: Approximation) -> str:
    """Return the change and the largest drift per probe in one line."""
    worst: dict[str, float] = {}
    for each in approximation.drift:
        worst[each.probe] = max(worst.get(each.probe, 0.0), each.relative_error)
    figures = ", ".join(f"{name} {value:.2g}" for name, value in worst.items())
    return (
        f"NOT the checkpoint's function: identity tensor multiplier {approximation.trained_with}"
        f" → {approximation.identity_tensor_multiplier} at {len(approximation.shortcuts)}"
        f" shortcuts; max drift / RMS per probe: {figures}"
    )
