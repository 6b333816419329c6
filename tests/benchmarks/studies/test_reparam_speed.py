"""Measuring the reparameterization: small real jobs, and arithmetic on made-up ones."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import randomize_batch_norm
from timm.models import byobnet
from torch import nn

from cnn_export.benchmarks.studies import reparam_speed
from cnn_export.benchmarks.studies.reparam import jobs, networks, tables
from cnn_export.benchmarks.studies.reparam.jobs import Counts, StageCost, growth_exponent
from cnn_export.errors import ExportError, InputRefused, ParityError

COST = StageCost(500, 1.5, 1.2, 300_000_000, 100_000_000, 2, 1e-15)


def test_the_exponent_is_that_of_the_power_law() -> None:
    sizes = [100, 300, 1000]
    assert growth_exponent(sizes, [0.2 * n**1.7 for n in sizes]) == pytest.approx(1.7)
    assert growth_exponent([10, 20], [5, 5]) == pytest.approx(0)
    with pytest.raises(ValueError, match="two sizes"):
        growth_exponent([10, 10], [1, 2])


def test_speedups_are_paired_with_the_naive_form() -> None:
    turns = {
        "d/naive/net.tflite": [10e6, 20e6, 30e6],
        "d/ours/net.tflite": [5e6, 5e6, 10e6],
        "d/naive/net.onnx": [8e6, 8e6, 8e6],
        "d/ours/net.onnx": [8e6, 4e6, 16e6],
    }
    timings = {(t.target, t.form): t for t in reparam_speed.timings_of("net", turns)}
    assert len(timings) == 4
    ours = timings["tflite", "ours"]
    assert (ours.speedup.median, ours.speedup.low, ours.speedup.high) == (3, 2, 4)
    assert ours.turns_ns.median == 5e6
    assert timings["onnx", "ours"].speedup.median == 1
    assert timings["onnx", "naive"].speedup == timings["tflite", "naive"].speedup


def test_tables_hold_the_figures_and_limits() -> None:
    forms = {"naive": Counts(9, 8, 7_000_000, 6_000), "ours": Counts(3, 0, 5_000_000, 4_000)}
    row = tables.counts({"net": {**forms, "timm": None}}).splitlines()[-1]
    assert row.split() == [
        "net", "9", "|", "3", "|", "-", "8", "|", "0", "|", "-", "7", "|", "5", "|", "-",
        "0.01", "|", "0.00", "|", "-",
    ]  # fmt: skip
    text = tables.stage({"densenet121": COST}, [COST], 1.04)
    assert "power of 1.04" in text
    (row,) = [line for line in text.splitlines() if line.startswith("densenet121")]
    assert row.split() == ["densenet121", "500", "2", "1.50", "1.20", "8", "300", "3.0", "4"]
    (row,) = [line for line in text.splitlines() if line.startswith("chain")]
    assert row.split() == ["chain", "of", "500", "500", "2", "1.50", "1.20", "300", "3.0"]


def test_counts_of_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two MobileOne blocks by hand: two 3x3 branches, one 1x1, an identity where widths agree."""
    block = byobnet.MobileOneBlock
    module = nn.Sequential(block(3, 8, stride=2, num_conv_branches=2), block(8, 8, 3)).eval()
    randomize_batch_norm(module)
    image = torch.randn(1, 3, 12, 16)
    monkeypatch.setattr(networks, "build", lambda name: (module, image))
    forms = networks.counts("any")
    outputs, kernels = 8 * 6 * 8, 3 * (9 + 9 + 1) + 8 * (9 + 1)
    weights = 8 * kernels + 2 * 8 * (3 + 3)  # of convolutions, and of batch normalizations
    assert forms["naive"] == Counts(5, 6, outputs * kernels, weights)
    fused = Counts(2, 0, outputs * (3 * 9 + 8 * 9), 8 * (3 * 9 + 8 * 9) + 16)
    assert forms["timm"] == forms["ours"] == fused
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    monkeypatch.setattr(networks, "build", lambda name: (plain, image))
    assert networks.counts("any")["timm"] is None


def test_json_holds_the_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {"naive": Counts(9, 8, 7, 6), "ours": Counts(3, 0, 5, 4), "timm": None}
    monkeypatch.setattr(reparam_speed, "counts_of", lambda name: forms)
    assert reparam_speed.main(["--network", "a", "--network", "b", "--json"]) == 0
    networks = json.loads(capsys.readouterr().out)["networks"]
    assert list(networks) == ["a", "b"]
    naive = {"conv2d": 9, "batch_norms": 8, "macs": 7, "parameters": 6}
    assert networks["b"]["naive"] == naive
    assert networks["b"]["timm"] is None


def test_the_stage_is_measured_for_real() -> None:
    small, large = jobs.chain_costs([40, 120])
    assert small.nodes < large.nodes
    assert abs(large.nodes - 120) < 30
    assert small.relative_error < 1e-9
    assert small.seconds > 0
    assert large.network_bytes > small.network_bytes > 4 * 4 * 12 * 10
    assert math.isfinite(small.peak_ratio)


def test_a_failing_job_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert reparam_speed.main(["--network", "no_such_network"]) == ExportError.exit_code
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "measuring no_such_network"
    assert told[1].startswith("reparam-speed: counts no_such_network ended with 1: ")
    assert len(told) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time", "--stage"], "exclude one another"),
        (["--rounds", "2"], "x>=3"),
        (["--min-time-s", "0"], "0<x"),
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reparam_speed, "counts_of", pytest.fail)
    assert reparam_speed.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_the_command_itself_never_loads_torch() -> None:
    script = (
        "import sys, cnn_export.benchmarks.studies.reparam_speed as command\n"
        "assert command.main(['--help']) == 0\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = set(done.stderr.decode().split())
    assert "cnn_export.benchmarks.studies.reparam.jobs" in loaded
    assert not loaded & {"torch", "timm", "onnxruntime", "ai_edge_litert"}


def test_artifacts_take_turns_and_a_wrong_one_is_not_timed(affine_onnx: Path) -> None:
    from affine_artifact import manifest_of, save_manifest, write_onnx

    from cnn_export.benchmarks.studies.reparam.artifacts import interleave

    other = affine_onnx.with_name("other.onnx")
    write_onnx(other)
    save_manifest(other, manifest_of(other, "onnx"))
    medians: Any = interleave([affine_onnx, other], 3, 0.01)
    assert list(medians) == [str(affine_onnx), str(other)]
    assert all(len(each) == 3 and min(each) > 0 for each in medians.values())
    write_onnx(other, scale=-3.0)
    with pytest.raises(ParityError, match="is off"):
        interleave([affine_onnx, other], 3, 0.01)
    with pytest.raises(InputRefused):
        interleave([affine_onnx.with_name("lost.onnx")], 3, 0.01)
