"""ETDumps: the vendor's own file, and whatever else may stand in its place."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from cnn_export.benchmarks.profiles.readers.etdump import read_etdump
from cnn_export.errors import InputRefused

DUMP = Path(__file__).parent / "made_by_executorch" / "three_runs.etdp"
"""See ``test_profile_runtimes.py``."""


def test_the_first_run_is_warm_up() -> None:
    trace = read_etdump(DUMP)
    assert [event.samples_ns for event in trace.events] == [
        *((100, 300), (20, 40), (300, 500), (400, 600), (5, 7), (60, 80))
    ]
    assert trace.profiled_ns == (885 + 40, 1527 + 40)
    assert trace.events[0].kind == "Convolution (NHWC, F32) IGEMM"
    assert trace.events[0].name.endswith(" #1")


def test_the_size_in_front_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "bare.etdp"
    path.write_bytes(DUMP.read_bytes()[4:])
    assert read_etdump(path).events == read_etdump(DUMP).events


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"\0" * 8 + b"ED00", b"words, just words"])
def test_other_content_is_no_etdump(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.etdp"
    path.write_bytes(content)
    with pytest.raises(InputRefused, match=r"no ETDump|no event") as refused:
        read_etdump(path)
    assert str(path) in str(refused.value)


def test_a_missing_etdump_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="cannot read"):
        read_etdump(tmp_path / "none")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "net.etdp"
    os.mkfifo(path)
    with pytest.raises(InputRefused, match="no regular file") as refused:
        read_etdump(path)
    assert str(path) in str(refused.value)


def test_a_damaged_etdump_is_read_or_refused(tmp_path: Path) -> None:
    path, content, refused = tmp_path / "net.etdp", DUMP.read_bytes(), 0
    dice = random.Random(6)  # noqa: S311 - no secret
    for _ in range(400):
        damaged = bytearray(content[: dice.choice([len(content), dice.randrange(len(content))])])
        for _ in range(6):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read_etdump(path)
        except InputRefused as refusal:
            refused += "\n" not in str(refusal)
    assert refused > 50
