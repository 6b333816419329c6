"""Budget files: what is read, and that every mistake is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnn_export.benchmarks.gate.budgets import BOUNDS, parse_budgets, read_budgets
from cnn_export.errors import InputRefused

EVERYTHING = {
    "model": ("skipnet",),
    "target": ("tflite",),
    "precision": ("fp32",),
    "device": ("host", "Pixel 4"),
    "runtime": ("ai-edge-litert",),
    "threads": ("2",),
}


def test_reads_selectors_and_every_bound():
    bounds = "\n".join(f"{name} = 3" for name in BOUNDS)
    (budget,) = parse_budgets(f'[[budget]]\nmodel = "skip*"\nthreads = 2\n{bounds}')
    assert budget.bounds == dict.fromkeys(BOUNDS, 3)
    assert budget.selection == "model skip*, threads 2"


@pytest.mark.parametrize(
    "selector",
    ['model = "skip*"', 'device = "Pixel*"', 'device = "host"', "threads = 2", 'threads = "[12]"'],
)
def test_a_glob_selects(selector: str):
    (budget,) = parse_budgets(f"[[budget]]\nmacs = 1\n{selector}")
    assert budget.selects(EVERYTHING)


@pytest.mark.parametrize(
    "selector",
    ['model = "Skip*"', 'model = "skip"', 'device = "Pixel"', "threads = 1", 'target = "onnx"'],
)
def test_a_glob_that_does_not_fit_selects_nothing(selector: str):
    (budget,) = parse_budgets(f"[[budget]]\nmacs = 1\n{selector}")
    assert not budget.selects(EVERYTHING)


def test_a_device_glob_does_not_select_what_never_ran():
    (budget,) = parse_budgets('[[budget]]\nmacs = 1\ndevice = "*"')
    assert not budget.selects(EVERYTHING | {"device": ()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[budget]]\nlatncy_ms = 3", "budget 1: unknown key 'latncy_ms'. Did you mean 'latency_"),
        ("[[budget]]\nmacs = 1\n[[budget]]\nfile_byte = 2", "budget 2: unknown key 'file_byte'"),
        ("[[budget]]\nmacs = 1\nxyzzy = 2", "Known: artifact, model, target"),
        ("[[budgets]]\nmacs = 1", "unknown key 'budgets'"),
        ("[budget]\nmacs = 1", "two brackets"),
        ("budget = 3", "two brackets"),
        ("budget = [3]", "budget 1"),
        ("", "no [[budget]]"),
        ('[[budget]]\nmodel = "a"', "budget 1 has no bound; give one of latency_ms"),
        ("[[budget]]\nmacs = -1", "macs = -1: it must be greater than or equal to 0"),
        ("[[budget]]\nlatency_ms = -0.5", "latency_ms = -0.5: it must be greater than 0"),
        ("[[budget]]\nlatency_ms = 0", "greater than 0"),
        ("[[budget]]\nregression_percent = -1", "greater than or equal to 0"),
        ("[[budget]]\nlatency_ms = nan", "finite"),
        ("[[budget]]\nlatency_ms = true", "latency_ms = True"),
        ("[[budget]]\nmacs = 1.5", "valid integer"),
        ('[[budget]]\nmacs = "3"', "valid integer"),
        ("[[budget]]\nmacs = 1\nmodel = 3", "model = 3"),
        ("[[budget]\nmacs = 1", "line 1"),
        ("[[budget]]\nmacs = 1\nmacs = 2", "overwrite"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, message: str):
    path = tmp_path / "budgets.toml"
    path.write_text(text)
    with pytest.raises(InputRefused) as refused:
        read_budgets(path)
    line = str(refused.value)
    assert message in line
    assert line.startswith(str(path))
    assert "\n" not in line


def test_refuses_what_is_no_text_too_large_or_missing(tmp_path: Path):
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"\xff\xfe")
    large.write_bytes(b"#" * (2**20 + 1))
    for path, message in ((binary, "utf-8"), (large, "more than")):
        with pytest.raises(InputRefused, match=message):
            read_budgets(path)
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("none", "does not exist"), ("pipe", "is a pipe, not a file")):
        with pytest.raises(InputRefused, match=message):
            read_budgets(tmp_path / name)
