"""TensorFlow Lite's ``benchmark_model``.

It writes to standard error, with or without a prefix of the log; times are microseconds in six
digits. A line of statistics follows each phase, warm-up first; then one line sums up. Percentiles
are there since 2024. It keeps no single times. (tensorflow/lite/tools/benchmark/benchmark_model.cc)
"""

from __future__ import annotations

import math
import re
from typing import ClassVar

from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Answer, ToolJob, spelled
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import (
    NS_PER_US,
    NUMBER,
    ToolFigures,
    believable,
    only_match,
)
from cnn_export.benchmarks.results.session import IncompleteRun

_SUMMARY = (
    rf"Inference timings in us: Init: {NUMBER}, First inference: {NUMBER},"
    rf" Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}"
)
_PHASE = re.compile(r"\bcount=([0-9]{1,9})((?: [a-z0-9]+=[0-9.e+-]{1,24})*)(\(all same\))?")
_FIELD = re.compile(rf" ([a-z0-9]+)={NUMBER}(?= |$)")
_MINIMUM_RUNS = 10
_SPELLINGS = {
    ("xnnpack", "on"): ["--use_xnnpack=true"],
    ("xnnpack", "off"): ["--use_xnnpack=false"],
    ("gpu", "on"): ["--use_gpu=true"],
    ("gpu", "off"): ["--use_gpu=false"],
}


class BenchmarkModel:
    """Runs a ``.tflite`` on random inputs for a time, after half a second of warm-up."""

    name: ClassVar[str] = "benchmark_model"
    runtime: ClassVar[str] = "ai-edge-litert"

    def arguments(self, job: ToolJob) -> list[str]:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        return [
            f"--graph={job.artifact}",
            f"--num_threads={job.threads}",
            f"--num_runs={_MINIMUM_RUNS}",
            f"--min_secs={job.min_time_s:g}",
            *spelled(job, self.name, _SPELLINGS),
        ]

    def parse(self, answer: Answer) -> ToolFigures:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        summary = only_match(_SUMMARY, answer.text, self.name, "times")
        phases = list(_PHASE.finditer(answer.text[: summary.start()]))
        if len(phases) != 2:
            raise IncompleteRun(f"{self.name} reports {len(phases)} phases, not warm-up and run")
        load, first, _, average = (float(value) * NS_PER_US for value in summary.groups())
        fields = {name: float(us) * NS_PER_US for name, us in _FIELD.findall(phases[1][2])}
        if not math.isclose(fields.get("avg", fields.get("curr", -1)), average, rel_tol=1e-5):
            raise IncompleteRun(f"{self.name} contradicts itself about the average")
        only = fields.get("curr") if "avg" not in fields else None  # all times were the same
        return believable(
            ToolFigures(
                count=int(phases[1][1]),
                average_ns=average,
                median_ns=fields.get("median", only),
                minimum_ns=fields.get("min", only),
                maximum_ns=fields.get("max", only),
                load_ns=load,
                first_ns=first,
                warm_up=int(phases[0][1]),
            ),
            self.name,
        )
