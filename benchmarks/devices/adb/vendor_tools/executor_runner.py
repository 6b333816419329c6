"""ExecuTorch's ``executor_runner``.

It logs to standard error: the time of loading and of all inferences together, and, since 2026, of
each one. Nothing is run to warm up: the first, cold inference is one of those counted. Older ones
report no times. (executorch/examples/portable/executor_runner/executor_runner.cpp)
"""

from __future__ import annotations

import re
from typing import ClassVar

from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Answer, ToolJob, spelled
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import (
    NS_PER_MS,
    NUMBER,
    ToolFigures,
    believable,
    only_match,
    optional,
    with_raw,
)
from cnn_export.benchmarks.results.session import IncompleteRun

_TOTAL = rf"Model executed successfully ([0-9]{{1,9}}) time\(s\) in {NUMBER} ms\."
_ITERATION = re.compile(rf"\bIteration ([0-9]{{1,9}}) of ([0-9]{{1,9}}): {NUMBER} ms")
_LOAD = rf"Model loaded in {NUMBER} ms\."


class ExecutorRunner:
    """Runs a ``.pte`` a number of times on inputs of ones."""

    name: ClassVar[str] = "executor_runner"
    runtime: ClassVar[str] = "executorch"

    def arguments(self, job: ToolJob) -> list[str]:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        return [
            f"--model_path={job.artifact}",
            f"--num_executions={job.inferences}",
            f"--cpu_threads={job.threads}",
            *spelled(job, self.name, {}),
        ]

    def parse(self, answer: Answer) -> ToolFigures:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        total = only_match(_TOTAL, answer.text, self.name, "times (is it an older one?)")
        count = int(total[1])
        if count == 0:
            raise IncompleteRun(f"{self.name} reports 0 inferences")
        found = ToolFigures(
            count=count,
            average_ns=float(total[2]) * NS_PER_MS / count,
            load_ns=optional(_LOAD, answer.text, NS_PER_MS),
            warm_up=0,
        )
        raw = self._inferences(answer.text, count)
        return believable(with_raw(found, raw, self.name) if raw else found, self.name)

    def _inferences(self, text: str, count: int) -> list[float]:
        raw: list[float] = []
        for number, of, milliseconds in _ITERATION.findall(text):
            if (int(number), int(of)) != (len(raw) + 1, count):
                raise IncompleteRun(f"{self.name} left out inference {len(raw) + 1} of {count}")
            raw.append(float(milliseconds) * NS_PER_MS)
        return raw
