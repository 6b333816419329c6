"""ONNX Runtime's ``onnxruntime_perf_test``.

The result file has a line per inference: model, seconds in six digits, two figures of the process,
and the number of the inference. Standard output has the sums; of the first inference it only tells
whole milliseconds, which are left out. (onnxruntime/test/perftest/performance_runner.{h,cc})
"""

from __future__ import annotations

import math
from typing import ClassVar

from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Answer, ToolJob, spelled
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import (
    NS_PER_MS,
    NS_PER_S,
    NUMBER,
    ToolFigures,
    believable,
    only_match,
    optional,
    with_raw,
)
from cnn_export.benchmarks.results.session import IncompleteRun

_COUNT = r"Total inference requests: ([0-9]{1,9})\b"
_AVERAGE = rf"Average inference time cost(?: total)?: {NUMBER} ms"
_LOAD = rf"Session creation time cost: {NUMBER} s"
_SPELLINGS = {
    ("graph_optimization", "off"): ["-o", "0"],
    ("graph_optimization", "basic"): ["-o", "1"],
    ("graph_optimization", "extended"): ["-o", "2"],
    ("graph_optimization", "all"): ["-o", "99"],
    ("spinning", "on"): [],
    ("spinning", "off"): ["-D"],
    ("arena", "on"): [],
    ("arena", "off"): ["-A"],
}


class OnnxRuntimePerfTest:
    """Runs a ``.onnx`` on generated inputs for whole seconds, after one inference."""

    name: ClassVar[str] = "onnxruntime_perf_test"
    runtime: ClassVar[str] = "onnxruntime"

    def arguments(self, job: ToolJob) -> list[str]:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        seconds = max(1, math.ceil(job.min_time_s))
        words = ["-e", "cpu", "-I", "-x", str(job.threads), "-y", "1", "-t", str(seconds)]
        words += spelled(job, self.name, _SPELLINGS)
        return [*words, job.artifact, job.result_file]

    def parse(self, answer: Answer) -> ToolFigures:
        """See :class:`~cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract.Tool`."""
        count = only_match(_COUNT, answer.text, self.name, "count of inferences")
        average = only_match(_AVERAGE, answer.text, self.name, "times")
        found = ToolFigures(
            count=int(count[1]),
            average_ns=float(average[1]) * NS_PER_MS,
            load_ns=optional(_LOAD, answer.text, NS_PER_S),
            warm_up=1,
        )
        raw = _inferences(answer.result_file, self.name)
        return believable(with_raw(found, raw, self.name) if raw else found, self.name)


def _inferences(text: str, tool: str) -> list[float]:
    """Return nanoseconds of each line; the model's name may hold commas."""
    raw: list[float] = []
    for line in text.splitlines():
        fields = line.rsplit(",", 4)
        if len(fields) != 5:
            continue
        match = only_match(rf"^{NUMBER}$", fields[1], tool, "a time per inference")
        if fields[4] != str(len(raw)):
            raise IncompleteRun(f"{tool} left out inference {len(raw)} of its result file")
        raw.append(float(match[1]) * NS_PER_S)
    return raw
