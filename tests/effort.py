"""How much of a sweep a run does: ``make test-thorough`` all of it, ``make test`` a seeded part.

What is left out by default is the tail of a sequence of seeds or of Hypothesis's examples, which
are the same in every run; no test is left out. ``CNN_EXPORT_THOROUGH=1`` asks for everything.
"""

from __future__ import annotations

import math
import os

from hypothesis import HealthCheck, settings

THOROUGH = os.environ.get("CNN_EXPORT_THOROUGH") == "1"


def examples(thorough: int) -> int:
    """Return how many graphs or networks a property draws: ``thorough``, or a quarter of them.

    Properties of texts and numbers draw all their examples in every run: they cost nothing.
    """
    return thorough if THOROUGH else math.ceil(thorough / 4)


def seeds(thorough: int = 2000) -> range:
    """Return the seeds of a test that damages ``thorough`` files; by default a fifth of them."""
    return range(thorough if THOROUGH else thorough // 5)


def load_hypothesis_profile() -> None:
    """Let every property draw the same examples in each run, however busy the machine is."""
    settings.register_profile(
        "seeded",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("seeded")
