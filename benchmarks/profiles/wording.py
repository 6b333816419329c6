"""A profile's sum and whole as one sentence, for the terminal and the page."""

from __future__ import annotations

from cnn_export.benchmarks.profiles.document import Profile
from cnn_export.benchmarks.tables.quantities import milliseconds


def whole_and_sum(profile: Profile) -> str:
    """Return the sum over operators beside the whole call, with the difference named."""
    words = [
        f"Sum of operators {milliseconds(profile.sum_ns)} ms (their medians: "
        f"{milliseconds(profile.sum_of_medians_ns)} ms)"
    ]
    if profile.profiled_ns is not None and profile.between_ops_ns is not None:
        words.append(
            f"whole call with the profiler on {milliseconds(profile.profiled_ns)} ms (between "
            f"operators: {milliseconds(profile.between_ops_ns)} ms)"
        )
    if profile.plain_ns is not None and profile.profiler_ns is not None:
        words.append(
            f"without it {milliseconds(profile.plain_ns)} ms (the profiler's price: "
            f"{milliseconds(profile.profiler_ns)} ms)"
        )
    return "; ".join(words) + f". Medians of {profile.inferences} inferences."
