"""How long one file takes in terms of another on this host, both in the same processes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SOUND = 1.1
"""The largest quotient of an interval's ends that a table of ratios shows."""


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Time over the other's, with the interval of ``cnn-bench run --compare``; ``host`` is where.

    ``confidence`` is 0.95 where the processes suffice for it.
    """

    value: float
    low: float
    high: float
    confidence: float
    processes: int
    host: str

    @property
    def sound(self) -> bool:
        """Whether the interval is narrow enough to say anything, at 95 %."""
        return self.confidence >= 0.95 and self.high <= SOUND * self.low

    def __str__(self) -> str:
        """Return the ratio with its interval."""
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(base: Path, new: Path, repeats: int) -> Ratio:
    """Interleave the two artifacts in ``repeats`` processes.

    Raises:
        subprocess.CalledProcessError: ``cnn-bench`` refused them; it has said why.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = str(Path(folder) / "pairs.jsonl")
        asked = ("--compare", "--repeats", str(repeats), "--out", kept, "--quiet")
        _bench("run", str(base), str(new), *asked)
        (found,) = json.loads(_bench("compare", kept, "--json"))["comparisons"]
    return Ratio(
        *(found["ratio"], found["ratio_low"], found["ratio_high"], found["confidence"]),
        processes=found["processes"][0],
        host=f"{found['setting']['device_model']} (not a phone's times)",
    )


def _bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "cnn_export.benchmarks", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
