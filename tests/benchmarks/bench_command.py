"""``cnn-bench run`` in this process, and the records it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnn_export.benchmarks import cli
from cnn_export.benchmarks.results.results_file import BadLine, read_records

FAST = ("--repeats", "2", "--min-time", "10ms")


def bench(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def records_in(path: Path, kind: type[Any]) -> list[Any]:
    found = list(read_records(path))
    assert not [line for line in found if isinstance(line, BadLine)]
    return [record for record in found if isinstance(record, kind)]
