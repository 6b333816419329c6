"""Results files: whole lines only, one writer, and a reader that survives anything."""

from __future__ import annotations

import os
from pathlib import Path

import made_results as made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_device import DEVICE

from cnn_export.benchmarks.results import record_types, results_file
from cnn_export.benchmarks.results.results_file import Appender, BadLine, parse_lines, read_records
from cnn_export.errors import DestinationError, InputRefused

RUN = record_types.Run(
    run_id="0" * 16,
    producer="p",
    started_at="now",
    device=DEVICE,
    seed=1,
    repeats=2,
    min_time_s=1,
    artifacts=["a" * 64],
)
MEMORY = record_types.Memory(
    run_id=RUN.run_id,
    artifact="a" * 64,
    threads=1,
    runtime="r",
    runtime_version="1",
    peak_rss_bytes=2,
    baseline_rss_bytes=1,
)


def _append(path: Path, *records: record_types.Record) -> int:
    with Appender(path) as appender:
        for record in records:
            appender.append(record)
        return appender.torn_bytes


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert _append(path, RUN, MEMORY) == 0
    _append(path, MEMORY)
    assert list(read_records(path)) == [RUN, MEMORY, MEMORY]


@pytest.mark.parametrize("kept", [1, 50, -1])
def test_a_torn_last_line_is_set_aside_not_lost(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "r.jsonl"
    _append(path, RUN)
    torn = MEMORY.to_line().encode()[:kept]
    path.write_bytes(path.read_bytes() + torn)
    assert _append(path, MEMORY) == len(torn)
    assert list(read_records(path)) == [RUN, MEMORY]
    assert path.with_name("r.jsonl.torn").read_bytes() == torn + b"\n"


def test_a_file_that_is_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    torn = b'{"cnn_bench":' + b"x" * 200_000
    path.write_bytes(torn)
    assert _append(path) == len(torn)
    assert path.read_bytes() == b""


def test_a_second_torn_line_joins_the_first(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for torn in (b"{", b'{"cnn_bench"'):
        path.write_bytes(torn)
        _append(path)
    assert path.with_name("r.jsonl.torn").read_bytes() == b'{\n{"cnn_bench"\n'


@pytest.mark.parametrize("text", [b"[[budget]]\nmacs = 3", b"{}\n", b'x\n{"cnn_bench":\n'])
def test_what_is_no_results_file_is_left_alone(tmp_path: Path, text: bytes) -> None:
    """A slip of --out neither appends to a file nor takes its last line away."""
    path = tmp_path / "budgets.toml"
    path.write_bytes(text)
    with pytest.raises(DestinationError, match="is no results file"):
        Appender(path)
    assert path.read_bytes() == text
    assert list(tmp_path.iterdir()) == [path]


def test_two_runs_do_not_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with Appender(path), pytest.raises(DestinationError, match="another run is writing"):
        Appender(path)
    assert _append(path, RUN) == 0


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl"
    whole = os.write
    with Appender(path) as appender:
        appender.append(RUN)
        monkeypatch.setattr(
            results_file.os, "write", lambda descriptor, data: whole(descriptor, data[:20])
        )
        with pytest.raises(DestinationError, match="took 20 of"):
            appender.append(MEMORY)
    monkeypatch.undo()
    assert list(read_records(path)) == [RUN]


@pytest.mark.parametrize("name", ["folder", "missing/r.jsonl", "file/r.jsonl"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=r"cannot write .*; change --out"):
        Appender(tmp_path / name)


def test_damage_and_foreign_lines_are_told_apart() -> None:
    line = MEMORY.to_line().encode()
    lines = [
        b"WARNING: something\n",
        b"\n",
        line[:40] + line,
        b'{"cnn_bench":"memory"}\n',
        b'{"cnn_bench":"sampel"}\n',
        line.replace(b":2,", b":-2,"),
        line,
        line[:-9],
    ]
    found = list(parse_lines(lines))
    bad = [item for item in found if isinstance(item, BadLine)]
    assert [item.number for item in bad] == [1, 3, 4, 5, 6, 8]
    assert [item.foreign for item in bad] == [True, False, False, False, False, False]
    assert bad[-1].reason.startswith("torn: ")
    assert "peak_rss_bytes" in bad[4].reason
    assert [item for item in found if not isinstance(item, BadLine)] == [MEMORY]


@pytest.mark.parametrize("version", [1, 4])
def test_another_schema_version_is_refused_by_name(tmp_path: Path, version: int) -> None:
    path = tmp_path / "r.jsonl"
    other = RUN.to_line().replace('"schema_version":3', f'"schema_version":{version}')
    for line in (other, other.replace('"repeats":2', '"rounds":2')):
        path.write_text(RUN.to_line() + line)
        with pytest.raises(InputRefused, match=rf"r\.jsonl, line 2 is of schema version {version}"):
            list(read_records(path))


def test_nothing_is_appended_to_another_schema_version(tmp_path: Path) -> None:
    """The file would be refused as a whole, with what was measured last."""
    path = tmp_path / "r.jsonl"
    path.write_text(RUN.to_line().replace('"schema_version":3', '"schema_version":1') + '{"cnn_b')
    before = path.read_bytes()
    with pytest.raises(DestinationError, match=r"version 1, this command writes 3; give another"):
        Appender(path)
    assert path.read_bytes() == before


def test_a_pair_says_who_was_loaded_first() -> None:
    """Before version 2 no line did: such a pair must not be judged as if the base had been."""
    line = made.pair(0, [1], [2]).to_line()
    (bad,) = parse_lines([line.replace('"b_loaded_first":false,', "").encode()])
    assert isinstance(bad, BadLine)
    assert "b_loaded_first: Field required" in bad.reason


def test_a_closed_file_takes_nothing_more(tmp_path: Path) -> None:
    """A thread goes on after a second Ctrl-C; the descriptor's number may be another file's."""
    path = tmp_path / "r.jsonl"
    with Appender(path) as appender:
        appender.append(RUN)
    other = tmp_path / "other"
    with other.open("wb"), pytest.raises(DestinationError, match="is closed; nothing more is kept"):
        appender.append(MEMORY)
    assert (list(read_records(path)), other.read_bytes()) == ([RUN], b"")


def test_a_line_without_end_is_no_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(results_file, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"cnn_bench":' * 5000 + b"\n" + MEMORY.to_line().encode())
    first, second = read_records(path)
    assert first == BadLine(1, "longer than 1000 bytes")
    assert second == MEMORY


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r".*none\.jsonl"):
        list(read_records(tmp_path / "none.jsonl"))


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(MEMORY.to_line().encode()))))
def test_any_bytes_give_one_answer_per_line(chunks: list[bytes]) -> None:
    """Whole records between any other lines are always found, and nothing else raises."""
    lines = [chunk.replace(b"\n", b" ").strip() + b"\n" for chunk in chunks]
    found = list(parse_lines(lines))
    assert len(found) == sum(not line.isspace() for line in lines)
    whole = [item for item in found if not isinstance(item, BadLine)]
    assert whole == [MEMORY] * lines.count(MEMORY.to_line().encode())
