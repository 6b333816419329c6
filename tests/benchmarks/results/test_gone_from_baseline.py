"""What only the baseline measured is named, and never counts as met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_results as made
import pytest
from gated_results import MEDIANS, A, gated, lines

REGRESSION = "[[budget]]\nregression_percent = 50\n"


def test_what_only_the_baseline_has_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    base = made.save_as_is(tmp_path / "base.jsonl", lines())
    of_a = [made.run(artifacts=[A]), *lines()[1:2], *lines()[3:9]]
    assert gated(tmp_path, of_a, "--baseline", base, budgets=REGRESSION) == 4
    assert "the results lack b.tflite (fp32, host" in capsys.readouterr().err
    allowed = ("--baseline", base, "--allow-missing")
    assert gated(tmp_path, of_a, *allowed, budgets=REGRESSION) == 0
    assert "allowed: the results lack b.tflite" in capsys.readouterr().err
    assert gated(tmp_path, lines(), "--baseline", base, budgets=REGRESSION) == 0


def test_threads_and_devices_of_the_baseline_are_missed_too(tmp_path: Path):
    one, two = ([*made.repeats_ms(MEDIANS, threads=each)] for each in (1, 2))
    base = made.save(tmp_path / "base.jsonl", [*made.opened(), *one, *two])
    options = ("--baseline", base)
    assert gated(tmp_path, made.planned([*made.opened(), *one]), *options, budgets=REGRESSION) == 4
    both = made.planned([*made.opened(), *one, *two])
    assert gated(tmp_path, both, *options, budgets=REGRESSION) == 0


XNNPACK_OFF: dict[str, Any] = {"runtime_args": {"xnnpack": "off"}}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CPUs": ({"cpus": [0]}, {}),
    "runtime arguments": (XNNPACK_OFF, XNNPACK_OFF),
    "fixed performance": (
        {"settings": [{"name": "fixed_performance", "before": "off", "during": "on"}]},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_another_way_that_only_the_baseline_ran_is_named(
    tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]
):
    """The same artifact on the same device at the same threads, run in a second way there."""
    of_run, of_process = WAYS[way]
    other = "f" * 16
    plain = [*made.opened(), *made.repeats_ms(MEDIANS)]
    again = made.repeats_ms([1.003 * each for each in MEDIANS], run_id=other, **of_process)
    second = [made.run(other, **of_run), made.artifact(run_id=other), *again]
    base = made.save_as_is(tmp_path / "base.jsonl", [*plain, *second])
    assert gated(tmp_path, [*plain, *second], "--baseline", base, budgets=REGRESSION) == 0
    assert gated(tmp_path, plain, "--baseline", base, budgets=REGRESSION) == 4
    assert "the results lack net.tflite" in capsys.readouterr().err


def test_memory_and_turns_that_only_the_baseline_has_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plain = [*made.opened(), *made.repeats_ms(MEDIANS)]
    remembered = made.save_as_is(tmp_path / "m.jsonl", [*plain, made.memory(50)])
    assert gated(tmp_path, plain, "--baseline", remembered, budgets=REGRESSION) == 4
    assert "the results lack memory of net.tflite" in capsys.readouterr().err
    old, other = made.sha256("old.tflite"), "f" * 16
    of_pairs = made.run(other, artifacts=[old, made.sha256("net.tflite")], compare=True)
    artifacts = [made.artifact(name, other) for name in ("old.tflite", "net.tflite")]
    pairs = [made.pair(n, [1000 + n] * 4, [1000 + n] * 4, run_id=other) for n in range(6)]
    in_turns = made.save_as_is(tmp_path / "t.jsonl", [*plain, of_pairs, *artifacts, *pairs])
    assert gated(tmp_path, plain, "--baseline", in_turns, budgets=REGRESSION) == 4
    assert "1 thread) interleaved with old.tflite, which" in capsys.readouterr().err


def test_a_renamed_version_is_not_gone(tmp_path: Path):
    old = made.repeats_ms(MEDIANS, artifact=made.sha256("old.tflite"))
    base = made.save(tmp_path / "b.jsonl", [made.run(), made.artifact("old.tflite"), *old])
    new = made.planned([*made.opened(), *made.repeats_ms(MEDIANS)])
    assert gated(tmp_path, new, "--baseline", base, budgets=REGRESSION) == 0


def test_a_baseline_that_lacks_processes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base = made.save_as_is(tmp_path / "base.jsonl", lines(1))
    assert gated(tmp_path, lines(), "--baseline", base, budgets=REGRESSION) == 4
    assert "base.jsonl lacks b.tflite at 1 thread on host: lost" in capsys.readouterr().err
    allowed = ("--baseline", base, "--allow-missing")
    assert gated(tmp_path, lines(), *allowed, budgets=REGRESSION) == 0
