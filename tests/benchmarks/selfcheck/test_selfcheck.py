"""Noise, simulation and the self-check: a broken rule or machine must be told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from cnn_export.benchmarks.commands.selfcheck import command
from cnn_export.benchmarks.devices.contract import Job, Outcome
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.results.protocol import End, Hello, PairSample
from cnn_export.benchmarks.results.series import PairedTimes
from cnn_export.benchmarks.results.session import Session
from cnn_export.benchmarks.selfcheck import selfcheck, simulation
from cnn_export.benchmarks.selfcheck.noise import (
    BASE_NS,
    SHAPES,
    Shape,
    circular_blocks,
    recorded,
    recorded_names,
    resampled,
    synthetic,
)
from cnn_export.benchmarks.selfcheck.simulation import Rates, simulate
from cnn_export.benchmarks.statistics.comparison import DEFAULT_PAIR_REPEATS, DEFAULT_PAIR_SECONDS
from cnn_export.command_line.edge import run_command

GOOD = Rates("n", 100_000, 0.01, 0.95, 0.5, 0.94, 0.94)


class _Device:
    """Interleaves a scripted network; the instance loaded last takes ``factor`` times as long.

    ``unfair`` lets one of the two artifacts take that, whichever was loaded last.
    """

    def __init__(self, factor: float = 1.0, spread: float = 0.004, unfair: bool = False) -> None:
        self._unfair = unfair
        self.jobs: list[Job] = []
        self._factor = factor
        self._spread = spread
        self._generator = np.random.default_rng(8)

    def describe(self) -> record_types.Device:
        raise NotImplementedError

    def unfit(self, threads: int, cpus: tuple[int, ...]) -> list[str]:
        raise NotImplementedError

    def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        level = 4e6 * np.exp(self._generator.normal(0, 0.05))
        times = level * np.exp(self._generator.normal(0, 0.02, (40, 2)))
        slowed = len(self.jobs) % 2 if self._unfair else 1
        times[:, slowed] *= self._factor * np.exp(self._generator.normal(0, self._spread))
        samples = tuple(PairSample(a_ns=int(a), b_ns=int(b)) for a, b in times)
        hello = Hello(runtime="r", version="1", threads=1, load_ns=1, first_ns=1)
        session = Session((hello, hello), samples, End(count=len(samples)))
        return Outcome(session, record_types.Conditions())


def _pairs(device: _Device, repeats: int = DEFAULT_PAIR_REPEATS) -> PairedTimes:
    return selfcheck.measure_against_itself(device, Path("a.tflite"), repeats, limit_s=60)


def test_blocks_keep_neighbours_and_wrap() -> None:
    found = circular_blocks(np.random.default_rng(0), 10, 23, 4)
    assert found.shape == (23,)
    assert set(found) <= set(range(10))
    for start in range(0, 20, 4):
        assert np.all(np.diff(found[start : start + 4]) % 10 == 1)


def test_resampling_keeps_pairs_together() -> None:
    """Whatever is drawn, both of a pair come from one moment of one process."""
    base = np.arange(1, 21, dtype=float)
    run = resampled([(base, base * 3), (base + 100, (base + 100) * 3)])(
        np.random.default_rng(1), 30, 16
    )
    ratios = run.new_ns / run.base_ns
    assert {round(float(r), 6) for r in np.unique(ratios.round(6))} == {0.333333, 3.0}
    assert all(len(set(row.round(6))) == 1 for row in ratios)
    assert run.base_ns.shape == (30, 16)


def test_the_recordings_are_of_a_real_machine() -> None:
    for name in recorded_names():
        run = recorded(name)(np.random.default_rng(2), 200, 40)
        ratios = np.log(np.median(run.new_ns / run.base_ns, axis=1))
        assert abs(np.median(ratios)) < 0.005
        low, high = np.quantile(ratios, [0.25, 0.75])
        assert 0.002 < high - low < 0.03
        assert 0.01 < np.log(np.median(run.base_ns, axis=1)).std() < 1


@pytest.mark.parametrize("shape", SHAPES)
def test_synthetic_noise_is_around_one(shape: Shape) -> None:
    run = synthetic(shape)(np.random.default_rng(4), 400, 30)
    ratios = np.log(np.median(run.new_ns / run.base_ns, axis=1))
    assert abs(np.median(ratios)) < 0.006
    assert run.slowed(1.03).new_ns[0, 0] == pytest.approx(1.03 * run.new_ns[0, 0])
    medians = np.median(run.base_ns, axis=1)
    assert run.center_ns == pytest.approx(np.median(medians), rel=0.03)
    assert run.center_ns == pytest.approx(BASE_NS, rel=0.4)


def test_synthetic_ratios_have_the_measured_spread() -> None:
    run = synthetic("steady")(np.random.default_rng(4), 2000, simulation.PAIRS)
    ratios = np.log(np.median(run.new_ns / run.base_ns, axis=1))
    assert ratios.std() == pytest.approx(0.0205, rel=0.05)


def test_speeds_move_as_named() -> None:
    """Processes of a drift order themselves in time; a bimodal clock has two crowds."""
    generator = np.random.default_rng(6)
    drift = np.median(synthetic("drift")(generator, 100, 30).base_ns, axis=1)
    assert abs(np.corrcoef(drift, np.arange(100))[0, 1]) > 0.6
    tails = synthetic("heavy tails")(generator, 100, 200).base_ns
    assert np.max(tails / np.median(tails, axis=1, keepdims=True)) > 3
    bimodal = np.log(synthetic("bimodal clock")(generator, 50, 200).base_ns / BASE_NS)
    steps = np.abs(np.diff(np.median(bimodal.reshape(50, 10, 20), axis=2), axis=1))
    assert steps.max() > 0.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"false_alarms": 0.012}, "1.2% false alarms"),
        ({"found": 0.945}, "94.5% true slowdowns"),
        ({"ratio_covered": 0.935}, "93.5% ratios"),
        ({"median_covered": 0.935}, "93.5% medians"),
    ],
)
def test_each_promise_can_break(change: dict[str, float], said: str) -> None:
    assert GOOD.broken_promises() == []
    (line,) = dataclasses.replace(GOOD, **change).broken_promises()
    assert line.startswith(said)


def test_few_trials_may_stray_but_not_far() -> None:
    """Binomial, 100 trials: 88 of 95 promised come up once in 230 times, 85 once in 7,000."""
    assert dataclasses.replace(GOOD, trials=100, found=0.88).broken_promises() == []
    assert dataclasses.replace(GOOD, trials=100, found=0.85).broken_promises()
    assert dataclasses.replace(GOOD, trials=100, false_alarms=0.06).broken_promises()


def test_the_default_comparison_keeps_its_promises() -> None:
    """At reduced size; the study's figures are in benchmarks/README.md."""
    for found in selfcheck.simulated(selfcheck.noise_sources(), trials=100, seed=7):
        assert found.false_alarms <= 0.01, found
        assert found.found >= 0.92, found
        assert found.ratio_covered >= 0.9, found


def test_too_few_processes_lose_power() -> None:
    found = simulate("drift", synthetic("drift"), 60, 1, processes=7)
    assert found.found < 0.8
    assert found.broken_promises()


def test_separate_processes_are_no_match() -> None:
    """The same noise, base and new in different processes: 3 % drown in 6 % between processes."""
    together = simulate("steady", synthetic("steady"), 60, 1)
    apart = simulate("steady", synthetic("steady"), 60, 1, separate=True)
    assert apart.false_alarms <= 0.05
    assert apart.found < 0.5 < together.found
    assert apart.ratio_covered >= 0.85


def test_a_device_interleaves_a_file_with_itself_in_swapped_order() -> None:
    device = _Device()
    pairs = _pairs(device, repeats=4)
    assert pairs.new_loaded_first == [False, True, False, True]
    assert len(pairs.base_ns) == len(pairs.new_ns) == 4
    assert [job.b_first for job in device.jobs] == [False, False, True, True]
    assert {(job.kind, job.min_time_s, len(job.artifacts)) for job in device.jobs} == {
        ("pair", DEFAULT_PAIR_SECONDS, 2)
    }


def test_no_process_starts_after_the_limit() -> None:
    now = iter(range(0, 1000, 20))
    pairs = selfcheck.measure_against_itself(
        _Device(), Path("a"), 25, limit_s=60, clock_s=lambda: float(next(now))
    )
    assert len(pairs.base_ns) == 3


@pytest.fixture
def one_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the device's own noise and one other."""
    monkeypatch.setattr(selfcheck, "noise_sources", lambda: {"steady": synthetic("steady")})


@pytest.mark.usefixtures("one_noise")
def test_a_calm_device_passes() -> None:
    check = selfcheck.judge(_pairs(_Device()), trials=100, seed=1)
    assert check.same is not None
    assert check.slowed is not None
    assert check.on_device is not None
    assert check.same.verdict == "no difference shown"
    assert check.slowed.verdict == "slower"
    assert check.device_problems == ()
    assert check.on_device.found > 0.97


@pytest.mark.usefixtures("one_noise")
@pytest.mark.parametrize("factor", [0.96, 1.05])
def test_the_order_of_loading_is_no_difference(factor: float) -> None:
    check = selfcheck.judge(_pairs(_Device(factor)), trials=100, seed=1)
    assert check.same is not None
    assert check.same.verdict == "no difference shown"
    assert check.device_problems == ()


@pytest.mark.usefixtures("one_noise")
@pytest.mark.parametrize(
    ("device", "said"),
    [
        (_Device(factor=1.05, unfair=True), "slower than itself"),
        (_Device(spread=0.08), "slowdowns found"),
    ],
)
def test_an_unfair_or_noisy_device_is_told(device: _Device, said: str) -> None:
    check = selfcheck.judge(_pairs(device), trials=100, seed=1)
    assert said in " ".join(check.device_problems)


def _run(monkeypatch: pytest.MonkeyPatch, device: _Device, *arguments: str) -> int:
    monkeypatch.setattr("cnn_export.benchmarks.devices.host.host.HostDevice", lambda: device)
    monkeypatch.setattr(selfcheck, "noise_sources", lambda: {"steady": synthetic("steady")})
    return run_command(command, "cnn-bench selfcheck", ["--trials", "100", *arguments])


def test_command_passes_and_prints_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, _Device(), "a.tflite", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] is True
    assert document["same"]["processes"] == [DEFAULT_PAIR_REPEATS] * 2
    assert [each["noise"] for each in document["rates"]] == ["steady"]


def test_command_without_an_artifact_says_what_is_unchecked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    device = _Device()
    assert _run(monkeypatch, device) == 0
    assert "this device is not" in capsys.readouterr().out
    assert device.jobs == []


def test_command_fails_on_a_noisy_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, _Device(spread=0.08), "a.tflite") == 12
    captured = capsys.readouterr()
    assert "this device is too noisy now" in captured.err
    assert captured.err.count("\n") == 1
    assert "this device" in captured.out


def test_command_fails_on_broken_statistics(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As if the rule could not see what it promises to see."""
    monkeypatch.setattr(simulation, "SLOWDOWN", 1.01)
    assert _run(monkeypatch, _Device()) == 1
    assert "the statistics failed: steady" in capsys.readouterr().err
