"""Results files as gate and compare read them: grouped, or refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import made_results as made
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_export.benchmarks.results.read_series import read_results
from cnn_export.benchmarks.results.record_types import Conditions
from cnn_export.errors import InputRefused


def read(tmp_path: Path, *records: object):
    return read_results(made.save(tmp_path / "r.jsonl", records))


def refusal(path: Path) -> str:
    with pytest.raises(InputRefused) as refused:
        read_results(path)
    line = str(refused.value)
    assert line.startswith(str(path))
    assert "\n" not in line
    return line


def test_groups_by_artifact_and_setting_and_keeps_order(tmp_path: Path):
    one, two = made.repeats_ms([1.0, 2.0]), made.repeats_ms([3.0], threads=2)
    found = read(tmp_path, *made.opened(), one[0], two[0], made.memory(77), one[1])
    assert [series.setting.threads for series in found.series] == [1, 2]
    first = found.series[0]
    assert [times.tolist()[0] for times in first.times_ns] == [1_000_000, 2_000_000]
    assert first.times_ns[0].dtype == np.int64
    assert [memory.peak_rss_bytes for memory in first.memories] == [77]
    assert not found.series[1].memories


def test_two_runs_on_one_device_are_one_series_and_on_two_devices_two(tmp_path: Path):
    other = "f" * 16
    for device, count in ((made.DEVICE, 1), (made.DEVICE.model_copy(update={"id": "x"}), 2)):
        records = [*made.opened(), *made.repeats_ms([1.0]), made.run(other, device)]
        records += [made.artifact(run_id=other), *made.repeats_ms([2.0], run_id=other)]
        assert len(read(tmp_path, *records).series) == count


def test_arguments_of_another_runtime_do_not_part_a_series(tmp_path: Path):
    arguments = {"xnnpack": "off", "spinning": "off"}
    found = read(tmp_path, *made.opened(), *made.repeats_ms([1.0], runtime_args=arguments))
    assert found.series[0].setting.runtime_args == (("xnnpack", "off"),)


def test_a_flag_counts_when_half_of_the_processes_carry_it(tmp_path: Path):
    flags = [["busy", "hot"], ["hot"], [], []]
    records = [
        made.repeat(n, [1], conditions=Conditions(flags=each)) for n, each in enumerate(flags)
    ]
    assert read(tmp_path, *made.opened(), *records).series[0].flags == ("hot",)


def test_pairs_become_one_series(tmp_path: Path):
    records = [made.run(), made.artifact(), made.artifact("old.tflite")]
    found = read(tmp_path, *records, *(made.pair(n, [10, 11], [20, 21]) for n in range(2)))
    (paired,) = found.pairs
    assert (paired.base.artifact.name, paired.new.artifact.name) == ("old.tflite", "net.tflite")
    assert [times.tolist() for times in paired.base.times_ns] == [[10, 11]] * 2
    assert [times.tolist() for times in paired.new.times_ns] == [[20, 21]] * 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [*lines[:-1], lines[-1][:40]], "line 3 is damaged"),
        (lambda lines: [*lines[:-1], lines[-1][:40]], "; remove line 3 of r.jsonl, then complete"),
        (lambda lines: [*lines, lines[-1]], "two 'repeat' lines"),
        (lambda lines: [lines[0], *lines], "two 'run' lines"),
        (lambda lines: [lines[0], lines[1], *lines[1:]], "two 'artifact' lines"),
        (lambda lines: [*lines, "INFO: XNNPACK\n"], "line 4 is no record"),
        (lambda lines: [*lines, '{"other": 1}\n'], "line 4 is no record"),
        (lambda lines: [*lines[:2], lines[2][:30] + lines[2]], "line 3 is damaged"),
        (lambda lines: lines[1:], "no 'run' line"),
        (lambda lines: [lines[0], lines[2]], "no 'artifact' line"),
        (lambda lines: lines[:2], "no measurement"),
        (lambda lines: [], "no measurement"),
    ],
)
def test_refuses_lines_that_cannot_be_trusted(tmp_path: Path, damage: object, message: str):
    path = made.save(tmp_path / "r.jsonl", [*made.opened(), *made.repeats_ms([1.0])])
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples_ns": []}, "line 3 is damaged (repeat.samples_ns"),
        ({"samples_ns": [-1]}, "line 3"),
        ({"samples_ns": [0, 5]}, "greater than 0"),
        ({"samples_ns": [True]}, "valid integer"),
        ({"samples_ns": [1.0]}, "valid integer"),
        ({"samples_ns": [2**70]}, "less than or equal to"),
        ({"samples_ns": [10**15, 10**15]}, "add up to days"),
        ({"load_ns": 0}, "line 3 is damaged (load_ns"),
        ({"repeat": 1}, "not of the plan"),
        ({"threads": 2}, "not of the plan"),
        ({"position": 99}, "not of the plan"),
        ({"artifact": "f" * 64}, "no 'artifact' line"),
        ({"surprise": 1}, "line 3"),
        ({"cnn_bench": "sample"}, "line 3"),
    ],
)
def test_refuses_a_damaged_repeat(tmp_path: Path, change: dict[str, object], message: str):
    path = made.save_as_is(tmp_path / "r.jsonl", made.opened(repeats=1))
    document = json.loads(made.repeat(0, [1]).to_line()) | change
    path.write_text(path.read_text() + json.dumps(document) + "\n")
    line = refusal(path)
    assert message.removeprefix("line 3 is damaged (repeat.") in line


@pytest.mark.parametrize("version", [1, 4])
def test_refuses_another_schema_version_by_name(tmp_path: Path, version: int):
    path = tmp_path / "r.jsonl"
    document = json.loads(made.run().to_line()) | {"schema_version": version}
    path.write_text(json.dumps(document) + "\n")
    assert f"schema version {version}, this command reads 2 and 3" in refusal(path)


def test_refuses_what_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    told = {"none.jsonl": "does not exist", "": "is a folder", "pipe": "is a pipe, not a file"}
    for name, words in told.items():
        with pytest.raises(InputRefused, match=words):
            read_results(tmp_path / name)
    with pytest.raises(InputRefused, match="/dev/zero is a device"):
        read_results(Path("/dev/zero"))


WHOLE = [*made.opened(), *made.repeats_ms([1.0, 2.0, 3.0])]
WHOLE_BYTES = "".join(record.to_line() for record in WHOLE).encode()


@settings(max_examples=150)
@given(st.integers(0, len(WHOLE_BYTES) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_changes_only_what_it_says(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
):
    """Never a crash, never fewer processes than lines without a word."""
    path = tmp_path_factory.mktemp("byte") / "r.jsonl"
    path.write_bytes(WHOLE_BYTES[:place] + bytes([byte]) + WHOLE_BYTES[place + 1 :])
    try:
        found = read_results(path)
    except InputRefused:
        return
    assert sum(len(series.times_ns) for series in found.series) == 3


@settings(max_examples=60)
@given(st.integers(0, len(WHOLE_BYTES)))
def test_a_file_cut_anywhere_gives_whole_processes_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, length: int
):
    path = tmp_path_factory.mktemp("cut") / "r.jsonl"
    path.write_bytes(WHOLE_BYTES[:length])
    try:
        found = read_results(path)
    except InputRefused:
        return
    assert all(len(times) == 4 for series in found.series for times in series.times_ns)
