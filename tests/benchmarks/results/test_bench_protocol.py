"""The worker's lines, and which reports count."""

from __future__ import annotations

import io

import pytest

from cnn_export.benchmarks.results.protocol import (
    MAX_LINE_BYTES,
    Damaged,
    End,
    Failure,
    Hello,
    MemoryUse,
    Message,
    PairSample,
    Sample,
    State,
    bounded_lines,
    messages,
)
from cnn_export.benchmarks.results.session import IncompleteRun, complete_session
from cnn_export.errors import ExportError, InputRefused, ParityError, TargetUnavailable

HELLO = Hello(runtime="onnxruntime", version="1.0", threads=1, load_ns=70, first_ns=9)
PAIR = PairSample(a_ns=4, b_ns=5)
MEMORY = MemoryUse(peak_rss_bytes=30, peak_pss_bytes=None, baseline_rss_bytes=20)


def _read(text: str) -> list[Message | Damaged]:
    return list(messages(bounded_lines(io.BytesIO(text.encode()))))


def test_messages_survive_the_wire() -> None:
    failure = Failure(exit_code=3, message="ä off")
    sent = [HELLO, Sample(ns=12), PAIR, MEMORY, End(count=1), failure]
    assert _read("".join(message.to_line() for message in sent)) == sent


def test_the_wire_format_is_fixed() -> None:
    """Other workers (Java) write these very lines."""
    assert Sample(ns=12).to_line() == '{"cnn_bench":"sample","ns":12}\n'
    assert PAIR.to_line() == '{"cnn_bench":"pair","a_ns":4,"b_ns":5}\n'
    assert End(count=2, warm_up=7, settled=False).to_line() == (
        '{"cnn_bench":"end","count":2,"warm_up":7,"settled":false}\n'
    )
    assert MEMORY.to_line() == (
        '{"cnn_bench":"memory","peak_rss_bytes":30,"peak_pss_bytes":null,"baseline_rss_bytes":20}\n'
    )
    assert State(launch="activity", thermal_headroom=0.5, cpus_allowed="0-3,6").to_line() == (
        '{"cnn_bench":"state","launch":"activity","thermal_status":null,"thermal_headroom":0.5,'
        '"cpus_allowed":"0-3,6","available_memory_bytes":null}\n'
    )
    assert HELLO.to_line() == (
        '{"cnn_bench":"hello","protocol":3,"runtime":"onnxruntime","version":"1.0","threads":1,'
        '"load_ns":70,"first_ns":9}\n'
    )


def test_other_lines_are_skipped() -> None:
    junk = 'INFO: delegate\n\n{"level": 1}\n\x00\xff\n[1, 2]\n'
    assert _read(junk + Sample(ns=3).to_line() + "x" * 50_000 + "\n") == [Sample(ns=3)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"cnn_bench":"sample","ns":1', "Invalid JSON: EOF"),
        ('INFO: done{"cnn_bench":"sample","ns":1}', "Invalid JSON: expected ident"),
        ('{"cnn_bench":"sample","ns":-1}', "greater than or equal to 0"),
        ('{"cnn_bench":"sample","ns":1.5}', "a valid integer"),
        ('{"cnn_bench":"sample","ns":"1"}', "a valid integer"),
        ('{"cnn_bench":"sample","ns":1,"unit":"us"}', "Extra inputs are not permitted"),
        ('{"cnn_bench":"sampel","ns":1}', "'sampel' found using 'cnn_bench' does not match"),
        (
            '{"cnn_bench":"failure","exit_code":1,"message":"' + "x" * MAX_LINE_BYTES + '"}',
            f"longer than {MAX_LINE_BYTES} bytes",
        ),
    ],
)
def test_damaged_lines_are_told_from_junk(line: str, reason: str) -> None:
    """Each is one damaged line with its own reason, and the line behind it counts."""
    damaged, sample = _read(f"{line}\n{Sample(ns=3).to_line()}")
    assert isinstance(damaged, Damaged)
    assert reason in damaged.reason
    assert sample == Sample(ns=3)


@pytest.mark.parametrize(("surplus", "whole"), [(0, True), (1, False)])
def test_a_line_may_be_as_long_as_the_limit(surplus: int, whole: bool) -> None:
    line = Sample(ns=3).to_line().rstrip("\n").encode()
    padded = line[:-1] + b" " * (MAX_LINE_BYTES + surplus - len(line)) + b"}"
    expected = Sample(ns=3) if whole else Damaged(f"longer than {MAX_LINE_BYTES} bytes")
    assert list(messages([padded])) == [expected]


def test_a_message_too_long_is_damage_even_if_whole() -> None:
    padded = End(count=1).to_line().replace(",", "," + " " * MAX_LINE_BYTES).encode()
    assert list(messages([padded])) == [Damaged(f"longer than {MAX_LINE_BYTES} bytes")]


def test_long_lines_are_cut_and_the_next_line_is_whole() -> None:
    text = b"a" * (3 * MAX_LINE_BYTES) + b"\nnext\n" + b"b" * MAX_LINE_BYTES + b"\nlast"
    lines = list(bounded_lines(io.BytesIO(text)))
    assert [len(line) for line in lines] == [MAX_LINE_BYTES + 1, 5, MAX_LINE_BYTES + 1, 4]
    assert lines[1] == b"next\n"


def test_a_whole_report_counts() -> None:
    repeat = complete_session([HELLO, Sample(ns=5), Sample(ns=4), End(count=2)])
    assert repeat.hello == HELLO
    assert repeat.samples_ns == (5, 4)


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        ([], "never said 'hello'"),
        ([Sample(ns=1), End(count=1)], "never said 'hello'"),
        ([HELLO], "before its 'end'"),
        ([HELLO, Sample(ns=1)], "before its 'end'"),
        ([HELLO, End(count=0)], "0 measurements"),
        ([HELLO, Sample(ns=1), End(count=2)], "1 measurements arrived, the worker wrote 2"),
        ([HELLO, Sample(ns=1), Sample(ns=1), End(count=1)], "2 measurements arrived"),
        ([HELLO, Sample(ns=1), End(count=1), Sample(ns=1)], "after its 'end'"),
        ([HELLO, HELLO, Sample(ns=1), End(count=1)], "repeated"),
        ([HELLO, Damaged("cut"), Sample(ns=1), End(count=1)], "1 damaged lines, the first: cut"),
        ([HELLO.model_copy(update={"protocol": 1}), Sample(ns=1), End(count=1)], "protocol 1"),
        ([HELLO, Sample(ns=1), PAIR, End(count=2)], "stray or repeated 'pair'"),
        ([HELLO, *[Sample(ns=7)] * 10, End(count=10)], "all 10 times are 7 ns"),
        ([HELLO, *[Sample(ns=0)] * 12, End(count=12)], "a time of 0 ns"),
    ],
)
def test_a_report_with_a_gap_does_not(received: list[Message | Damaged], reason: str) -> None:
    with pytest.raises(IncompleteRun, match=reason):
        complete_session(received)


def test_a_pair_has_a_hello_per_artifact() -> None:
    second = HELLO.model_copy(update={"runtime": "executorch"})
    other = PairSample(a_ns=6, b_ns=8)
    session = complete_session([HELLO, second, PAIR, other, End(count=2)], PairSample)
    assert session.hellos == (HELLO, second)
    assert session.pairs_ns == ((4, 6), (5, 8))
    with pytest.raises(IncompleteRun, match="never said 'hello'"):
        complete_session([HELLO, PAIR, End(count=1)], PairSample)


def test_a_pair_whose_one_clock_stands_still_is_refused() -> None:
    pairs = [PairSample(a_ns=time, b_ns=5) for time in range(1, 11)]
    with pytest.raises(IncompleteRun, match="all 10 times are 5 ns"):
        complete_session([HELLO, HELLO, *pairs, End(count=10)], PairSample)


def test_a_memory_report_holds_no_times() -> None:
    session = complete_session([HELLO, MEMORY, End(count=1)], MemoryUse)
    assert session.memory == MEMORY
    with pytest.raises(IncompleteRun, match="stray or repeated 'sample'"):
        complete_session([HELLO, Sample(ns=1), End(count=1)], MemoryUse)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(1, ExportError), (3, ParityError), (4, InputRefused), (5, TargetUnavailable)],
)
def test_a_failure_keeps_its_kind(code: int, kind: type[ExportError]) -> None:
    with pytest.raises(ExportError, match=r"^off$") as caught:
        complete_session([HELLO, Failure(exit_code=code, message="off")])
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
