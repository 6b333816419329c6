"""The benchmark of the identity tensor multiplier: arithmetic, and turns in one process."""

import json

import pytest
from click.testing import CliRunner

from cnn_export.benchmarks.studies import identity_multiplier, interleaving
from cnn_export.benchmarks.studies.identity_multiplier import ratios
from cnn_export.benchmarks.studies.identity_variants import VARIANTS


def test_ratio_is_the_median_of_rounds_then_of_processes():
    steady = {"none": [10, 10, 10], "carried": [11, 11, 11]}
    # One round of both was slow, one of the variant alone.
    disturbed = {"none": [10, 90, 10], "carried": [12, 108, 50]}
    ratio = ratios([steady, disturbed, steady], "carried", "none")
    assert (ratio.median, ratio.low, ratio.high) == pytest.approx((1.1, 1.1, 1.2))


def test_every_round_runs_every_artifact_once(monkeypatch, tmp_path):
    turns = []

    class Runtime:
        def load(self, path, inputs, output_names, threads):
            assert (inputs["image"].shape, threads) == ((1, 3, 5, 7), 1)
            self.path = path
            return self

        def infer(self):
            turns.append(self.path.name)

    monkeypatch.setattr(interleaving, "runtime_of", lambda _: Runtime())
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    samples = interleaving.interleave(paths, "image", (1, 3, 5, 7), rounds=4, seed=1)
    assert {name: len(values) for name, values in samples.items()} == {"a.tflite": 4, "b.tflite": 4}
    rounds = [set(turns[i : i + 2]) for i in range(0, len(turns), 2)]
    assert rounds == [{"a.tflite", "b.tflite"}] * (interleaving.WARM_UP_ROUNDS + 4)


def test_command_reports_every_variant(monkeypatch):
    def run(module, *arguments):
        suffix = ".tflite"
        return json.dumps({f"{name}{suffix}": [10, 20] for name in VARIANTS})

    monkeypatch.setattr(identity_multiplier, "study_output", run)
    arguments = ["--target", "tflite", "--processes", "2", "--json"]
    result = CliRunner().invoke(identity_multiplier.command, arguments)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"tflite": [{name: [10, 20] for name in VARIANTS}] * 2}
