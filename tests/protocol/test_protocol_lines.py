"""The one fixture of sessions that Python and Java both have to read alike."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from cnn_export.benchmarks.results.protocol import (
    MemoryUse,
    PairSample,
    Sample,
    bounded_lines,
    messages,
)
from cnn_export.benchmarks.results.session import (
    IncompleteRun,
    Measurement,
    Session,
    complete_session,
)
from cnn_export.errors import ExportError

LINES = Path(__file__).with_name("lines.jsonl")
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES.read_text().splitlines()]
KINDS: dict[str, type[Measurement]] = {"time": Sample, "pair": PairSample, "memory": MemoryUse}
KEYS = {"complete": {"count"}, "incomplete": {"says"}, "failure": {"exit_code", "says"}}


def _session(case: dict[str, Any]) -> Session:
    stream = io.BytesIO(case["stream"].encode())
    return complete_session(messages(bounded_lines(stream)), KINDS[case["kind"]])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_session(case: dict[str, Any]) -> None:
    if case["verdict"] == "complete":
        assert len(_session(case).measurements) == case["count"]
        return
    with pytest.raises(ExportError) as caught:
        _session(case)
    assert case["says"] in str(caught.value)
    assert (type(caught.value) is IncompleteRun) == (case["verdict"] == "incomplete")
    if case["verdict"] == "failure":
        assert caught.value.exit_code == case["exit_code"]


def test_every_session_is_described_alike() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names)
    assert LINES.read_bytes().isascii()
    for case in CASES:
        assert set(case) == {"name", "kind", "stream", "verdict"} | KEYS[case["verdict"]]


def test_every_kind_and_verdict_is_there() -> None:
    assert {case["kind"] for case in CASES if case["verdict"] == "complete"} == set(KINDS)
    assert {case["verdict"] for case in CASES} == set(KEYS)


def test_states_are_kept_apart() -> None:
    by_name = {case["name"]: case for case in CASES}
    both = _session(by_name["samples between two states"])
    assert both.before is not None
    assert (both.before.launch, both.before.thermal_headroom) == ("app_process", 0.42)
    assert both.after is not None
    assert (both.after.launch, both.after.cpus_allowed) == ("activity", None)
    assert _session(by_name["a state after only"]).before is None
    assert _session(by_name["samples"]).after is None
