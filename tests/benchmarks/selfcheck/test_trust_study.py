"""The study's workers: what they divide by what, on scripted networks and a real runtime."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affine_artifact import manifest_of, save_manifest, write_onnx

from cnn_export.benchmarks.results.series import PairedTimes
from cnn_export.benchmarks.selfcheck.noise import recorded
from cnn_export.benchmarks.studies import cache_mixing, own_loops, trust_study


@pytest.fixture
def affine(tmp_path: Path) -> Path:
    path = tmp_path / "a.onnx"
    write_onnx(path)
    save_manifest(path, manifest_of(path, "onnx"))
    return path


class _Caches:
    """Two networks on one cache: the inference after the other's takes ``refill`` times as long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refill: float) -> None:
        self._now = 0
        self._last = -1
        self._refill = refill
        monkeypatch.setattr(time, "perf_counter_ns", lambda: self._now)

    def infer(self, which: int) -> Callable[[], None]:
        def run() -> None:
            self._now += int(1000 * (1 if which == self._last else self._refill))
            self._last = which

        return run


@pytest.mark.parametrize(("block", "expected"), [(1, 4.0), (2, 2.5), (4, 1.0), (48, 1.0)])
def test_mixing_is_what_the_refill_adds(
    monkeypatch: pytest.MonkeyPatch, block: int, expected: float
) -> None:
    """In turns of two the median lies between a refilled and a full inference: (4 + 1) / 2."""
    caches = _Caches(monkeypatch, refill=4.0)
    found = cache_mixing.mixing_ratios([caches.infer(0), caches.infer(1)], block, rounds=2)
    assert found == pytest.approx([expected, expected])


def test_onnxruntime_times_the_same_inferences(affine: Path) -> None:
    ours, theirs = own_loops.both_times(affine)
    assert len(ours) == len(theirs) == own_loops.INFERENCES
    assert all(mine > vendor > 0 for mine, vendor in zip(ours, theirs, strict=True))


def test_study_reads_its_workers(
    affine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trust_study, "_child", lambda _, *__: {"ratio": 1.005})
    assert trust_study.main(["own-loops", str(affine), "--processes", "2"]) == 0
    assert capsys.readouterr().out == (
        "a.onnx: ours over theirs 1.0050 (1.0050 to 1.0050, 50.0%)\n"
    )
    monkeypatch.setattr(trust_study, "_child", lambda _, *__: [2.0, 1.0])
    assert trust_study.main(["mixing", str(affine), str(affine), "--processes", "6"]) == 0
    assert "bias of second over first: 0.5000" in capsys.readouterr().out


def test_a_failing_worker_is_told_in_one_line(
    affine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = affine.with_name("b.onnx")
    broken.write_bytes(b"no model")
    assert trust_study.main(["mixing", str(affine), str(broken), "--processes", "1"]) == 1
    captured = capsys.readouterr()
    assert "cache_mixing ended with 1" in captured.err
    assert captured.err.count("\n") == 1


def test_mixing_runs_as_a_process(affine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cache_mixing.main([str(affine), str(affine), "--block", "4"]) == 0
    ratios = json.loads(capsys.readouterr().out)
    assert len(ratios) == 2
    assert all(0.01 < ratio < 100 for ratio in ratios)


def test_a_recording_is_added_to_the_file(
    affine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process with fewer pairs than asked for ends in zeros, which are not drawn."""
    pairs = PairedTimes([(1, 2, 3), (40, 50)], [(10, 20, 30), (4, 5)], [False, True])
    monkeypatch.setattr(trust_study, "measure_against_itself", lambda *_, **__: pairs)
    out = tmp_path / "noise.npz"
    np.savez_compressed(out, earlier=np.ones((2, 1, 1), np.uint32))
    arguments = ["record", str(affine), "--name", "new", "--processes", "2", "--pairs", "3"]
    assert trust_study.main([*arguments, "--out", str(out)]) == 0
    with np.load(out) as archive:
        assert sorted(archive.files) == ["earlier", "new"]
        assert archive["new"].tolist() == [[[1, 2, 3], [4, 5, 0]], [[10, 20, 30], [40, 50, 0]]]
    run = recorded("new", path=out)(np.random.default_rng(0), 20, 8)
    assert {round(r, 3) for r in (run.new_ns / run.base_ns).ravel().tolist()} == {10.0, 0.1}
