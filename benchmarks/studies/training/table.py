"""Accuracies per seed, and how far each variant is from the base, as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from cnn_export.benchmarks.studies.training.runs import Outcome
from cnn_export.benchmarks.studies.training.variants import BASE, VARIANTS

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""97.5 % quantiles of Student's distribution with 1, 2, … degrees of freedom."""
MOST_SEEDS = len(STUDENT) + 1


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return one row per network and variant; seeds that are not there yet stay empty."""
    seeds = sorted({each.job.seed for each in outcomes})
    head = ["network", "variant", *(f"seed {seed}" for seed in seeds), "mean"]
    head += [f"less {BASE}, points", "merged answers otherwise", "CPU s a run"]
    lines = [_line(head), _line(["---"] * len(head))]
    for network in dict.fromkeys(each.job.network for each in outcomes):
        base = _of(outcomes, network, BASE)
        for variant in VARIANTS:
            if found := _of(outcomes, network, variant):
                lines.append(_line([network, variant, *_row(found, base, seeds)]))
    return "\n".join(lines) + "\n"


def _row(
    found: dict[int, Outcome], base: dict[int, Outcome], seeds: Iterable[int]
) -> Iterable[str]:
    for seed in seeds:
        yield f"{found[seed].accuracy:.2%}" if seed in found else ""
    yield f"{statistics.mean(each.accuracy for each in found.values()):.2%}"
    pairs = [(found[seed], base[seed]) for seed in seeds if seed in found and seed in base]
    yield "" if found == base else difference([f.accuracy - b.accuracy for f, b in pairs])
    yield _merged(found.values())
    yield f"{statistics.median(each.cpu_seconds for each in found.values()):.0f}"


def _merged(found: Iterable[Outcome]) -> str:
    merged = [each for each in found if each.merged_differing is not None]
    differing = sum(each.merged_differing or 0 for each in merged)
    return f"{differing} of {sum(each.images for each in merged)}" if merged else ""


def difference(paired: Sequence[float]) -> str:
    """Return the mean of what pairs of one seed differ in, percentage points, and its interval.

    The interval of 95 % is Student's: seeds are taken for a sample of a normal distribution, which
    three cannot show.
    """
    if len(paired) < 2:
        return "one pair" if paired else "no pair"
    points = [100 * each for each in paired]
    mean, deviation = statistics.mean(points), statistics.stdev(points)
    half = STUDENT[len(points) - 2] * deviation / math.sqrt(len(points))
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def _of(outcomes: Iterable[Outcome], network: str, variant: str) -> dict[int, Outcome]:
    jobs = ((each.job, each) for each in outcomes)
    return {j.seed: each for j, each in jobs if (j.network, j.variant) == (network, variant)}


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
