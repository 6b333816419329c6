"""Figures out of what the runtimes' own tools print, and refusals of what cannot be believed."""

from __future__ import annotations

import math
import re

import pytest
import tool_outputs as said
from hypothesis import given
from hypothesis import strategies as st

from cnn_export.benchmarks.devices.adb.vendor_tools.benchmark_model import BenchmarkModel
from cnn_export.benchmarks.devices.adb.vendor_tools.executor_runner import ExecutorRunner
from cnn_export.benchmarks.devices.adb.vendor_tools.onnxruntime_perf_test import OnnxRuntimePerfTest
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_contract import Answer, Tool, ToolJob
from cnn_export.benchmarks.devices.adb.vendor_tools.tool_figures import ToolFigures
from cnn_export.benchmarks.results.session import IncompleteRun
from cnn_export.errors import UsageError

TFLITE, ORT, EXECUTORCH = BenchmarkModel(), OnnxRuntimePerfTest(), ExecutorRunner()
ASKED = ToolJob("/data/m", "/data/r", threads=4, min_time_s=1.5, inferences=30)


def test_benchmark_model_of_2024() -> None:
    found = TFLITE.parse(Answer(said.TFLITE_2024))
    assert found == ToolFigures(
        count=93,
        average_ns=10_874_300,
        median_ns=10_789_000,
        minimum_ns=10_608_000,
        maximum_ns=16_105_000,
        load_ns=31_500_000,
        first_ns=61_913_000,
        warm_up=9,
    )


def test_benchmark_model_of_2019_knows_no_median() -> None:
    found = TFLITE.parse(Answer(said.TFLITE_2019))
    assert (found.count, found.warm_up) == (50, 1)
    assert found.average_ns == pytest.approx(2.95034e9)
    assert found.median_ns is None
    assert found.raw_ns == ()


def test_benchmark_model_with_equal_times() -> None:
    found = TFLITE.parse(Answer(said.TFLITE_SAME))
    assert (found.average_ns, found.median_ns, found.minimum_ns) == (5000, 5000, 5000)


@pytest.mark.parametrize("total", ["", " total"])
def test_perf_test(total: str) -> None:
    found = ORT.parse(Answer(said.ORT_OUT.format(total=total), said.ORT_RESULT))
    assert found.raw_ns == (95_800_000, 101_500_000, 99_500_000, 98_500_000, 98_700_000)
    assert (found.count, found.average_ns, found.median_ns) == (5, 98_800_000, 98_700_000)
    assert found.load_ns == pytest.approx(217_932_000)
    assert found.first_ns is None


def test_perf_test_without_its_result_file_has_an_average() -> None:
    found = ORT.parse(Answer(said.ORT_OUT.format(total="")))
    assert (found.average_ns, found.median_ns, found.raw_ns) == (98_800_000, None, ())


def test_executor_runner_of_2026() -> None:
    found = EXECUTORCH.parse(Answer(said.EXECUTORCH_2026))
    assert found.raw_ns == (24_200_000, 9_800_000, 10_000_000)
    assert (found.count, found.median_ns, found.warm_up) == (3, 10_000_000, 0)
    assert found.average_ns == pytest.approx(44e6 / 3)
    assert found.load_ns == pytest.approx(4_463_268)


def test_executor_runner_of_2025_has_an_average() -> None:
    found = EXECUTORCH.parse(Answer(said.EXECUTORCH_2025))
    assert (found.count, found.median_ns) == (20, None)
    assert found.average_ns == pytest.approx(69.1078e6 / 20)


def _without(text: str, part: str) -> str:
    assert part in text
    return text.replace(part, "")


@pytest.mark.parametrize(
    ("tool", "answer", "reason"),
    [
        (TFLITE, Answer(""), "reports no times"),
        (TFLITE, Answer(said.TFLITE_2024 * 2), "reports times 2 times"),
        (TFLITE, Answer(said.TFLITE_2024.replace("10874.3", "10874.9", 1)), "contradicts itself"),
        (TFLITE, Answer(said.TFLITE_2024.replace("count=9 ", "kount=9 ")), "1 phases"),
        (TFLITE, Answer(said.TFLITE_2024.replace("count=93 ", "count=0 ")), "0 inferences"),
        (TFLITE, Answer(said.TFLITE_2024.replace("avg=10874.3", "avg=nan")), "contradicts"),
        (TFLITE, Answer(said.TFLITE_2024.replace("min=10608", "min=99999")), "its extremes"),
        (TFLITE, Answer(said.TFLITE_2024.replace("Init: 31500", "Init: 1e30")), "as load_ns"),
        (TFLITE, Answer(said.TFLITE_2024.replace("Init: 31500", "Init: -5")), "no times"),
        (ORT, Answer(""), "no count of inferences"),
        (ORT, Answer(said.ORT_OUT.format(total=" maximum")), "no times"),
        (
            ORT,
            Answer(said.ORT_OUT.format(total=""), said.ORT_RESULT + said.ORT_RESULT),
            "left out inference 5",
        ),
        (
            ORT,
            Answer(said.ORT_OUT.format(total=""), _without(said.ORT_RESULT, ",11,4")),
            "lists 4 of 5",
        ),
        (
            ORT,
            Answer(said.ORT_OUT.format(total=""), said.ORT_RESULT.replace("0.0958", "0.5")),
            "not that of its inferences",
        ),
        (
            ORT,
            Answer(said.ORT_OUT.format(total=""), said.ORT_RESULT.replace("0.0958", "\x1b[2J")),
            "no a time per inference",
        ),
        (EXECUTORCH, Answer(said.EXECUTORCH_2024), "older one"),
        (
            EXECUTORCH,
            Answer(said.EXECUTORCH_2026.replace("Iteration 2 of", "Iteration 3 of")),
            "left out inference 2 of 3",
        ),
        (
            EXECUTORCH,
            Answer(said.EXECUTORCH_2026.replace("9.800000", "0.000001")),
            "not that of its inferences",
        ),
        (EXECUTORCH, Answer(said.EXECUTORCH_2025.replace(" 20 time", " 0 time")), "0 inferences"),
    ],
)
def test_what_cannot_be_believed(tool: Tool, answer: Answer, reason: str) -> None:
    with pytest.raises(IncompleteRun, match=re.escape(reason)):
        tool.parse(answer)


@given(st.text(max_size=300), st.text(max_size=300), st.integers(0, 5), st.integers(0, 5))
def test_no_output_breaks_a_parser(text: str, result: str, start: int, end: int) -> None:
    """Whatever is said, there are figures or one reason; never another exception."""
    whole = {
        TFLITE: (said.TFLITE_2024, ""),
        ORT: (said.ORT_OUT.format(total=""), said.ORT_RESULT),
        EXECUTORCH: (said.EXECUTORCH_2026, ""),
    }
    for tool, (output, file) in whole.items():
        lines = output.splitlines(keepends=True)
        lines[start : start + end] = [text]
        for answer in (Answer(text, result), Answer("".join(lines), file + result)):
            try:
                found = tool.parse(answer)
            except IncompleteRun:
                continue
            assert found.count > 0
            assert 0 < found.average_ns < math.inf


@given(
    st.lists(st.floats(0.001, 1e5).map(lambda ms: round(ms, 6)), min_size=1, max_size=50),
)
def test_what_executor_runner_writes_is_read(times_ms: list[float]) -> None:
    count = len(times_ms)
    text = "".join(f"x] Iteration {n} of {count}: {ms:f} ms\n" for n, ms in enumerate(times_ms, 1))
    text += f"x] Model executed successfully {count} time(s) in {sum(times_ms):f} ms.\n"
    found = EXECUTORCH.parse(Answer(text))
    assert found.raw_ns == tuple(round(ms * 1e6) for ms in times_ms)


def test_command_lines() -> None:
    assert TFLITE.arguments(ASKED) == [
        *("--graph=/data/m", "--num_threads=4", "--num_runs=10", "--min_secs=1.5")
    ]
    assert " ".join(ORT.arguments(ASKED)) == "-e cpu -I -x 4 -y 1 -t 2 /data/m /data/r"
    assert EXECUTORCH.arguments(ASKED) == [
        *("--model_path=/data/m", "--num_executions=30", "--cpu_threads=4")
    ]


def test_runtime_arguments_are_the_tools_own() -> None:
    def asked(**arguments: str) -> ToolJob:
        return ToolJob("m", "r", 1, 1.0, 10, arguments)

    assert "--use_xnnpack=false" in TFLITE.arguments(asked(xnnpack="off"))
    words = ORT.arguments(asked(graph_optimization="basic", spinning="off", arena="off"))
    assert words[7:] == ["-t", "1", "-o", "1", "-D", "-A", "m", "r"]
    with pytest.raises(UsageError, match=r"executor_runner has nothing like .* xnnpack=off"):
        EXECUTORCH.arguments(asked(xnnpack="off"))
