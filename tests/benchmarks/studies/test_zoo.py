"""The zoo: a dozen small networks of the field's kinds, exported as modules in memory.

By default each goes to two targets in turn, but for what takes long; thoroughly to all four.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from effort import THOROUGH
from torch import nn

from cnn_export.benchmarks.studies.field import zoo, zoo_job
from cnn_export.benchmarks.studies.field.jobs import rows_in
from cnn_export.benchmarks.studies.field.networks.written import WRITTEN
from cnn_export.benchmarks.studies.field.rows import Bare, Cell, Ended, Row, as_line, read_job
from cnn_export.benchmarks.studies.field.table import markdown, shares
from cnn_export.benchmarks.studies.field.trained_like import trained_like
from cnn_export.benchmarks.studies.field.zoo_networks import built
from cnn_export.errors import ExportError, UsageError

TARGETS = ("onnx", "tflite", "coreml", "executorch")

REFUSED: dict[tuple[str, str], str] = {
    ("style", "onnx"): "off by .* on the constant probe",
    ("style", "tflite"): "off by .* on the constant probe",
}
"""What an artifact may be missing of today, and words of the reason; what is mended is exported."""

LONG = {("crnn", "executorch"), ("unet", "coreml"), ("yolo", "onnx"), ("crnn", "coreml"), *REFUSED}
"""Ten seconds of CPU and more, in the thorough run alone."""


def _exports() -> Iterator[tuple[str, str]]:
    for number, name in enumerate(WRITTEN):
        turn = [TARGETS[(number + step) % len(TARGETS)] for step in (0, 1)]
        asked = [(name, target) for target in (TARGETS if THOROUGH else turn)]
        yield from (each for each in asked if THOROUGH or each not in LONG)


@pytest.mark.parametrize(("name", "target"), _exports())
def test_a_network_of_the_zoo_is_exported_or_refused_for_its_reason(
    name: str, target: str, out: Path
) -> None:
    said = _refusal(name, target, out)
    if said:
        words = REFUSED.get((name, target))
        assert words, said
        assert re.search(words, said)


def _refusal(name: str, target: str, out: Path) -> str:
    try:
        manifest = zoo_job.exported(name, target, out).manifest
    except ExportError as error:
        return str(error)
    assert manifest.parity.accepted is None
    assert max(figure.relative_error for figure in manifest.parity.figures) > 0
    return ""


def test_the_list_names_what_is_written() -> None:
    assert set(zoo.WRITTEN) == set(WRITTEN)
    with pytest.raises(UsageError, match=r"no network 'unett'\. Did you mean 'unet'"):
        built("unett")


def test_no_batch_norm_is_an_identity_and_activations_keep_their_size() -> None:
    torch.manual_seed(0)
    blocks = [
        layer
        for _ in range(30)
        for layer in (nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    ]
    network, image = nn.Sequential(*blocks), torch.randn(1, 8, 12, 12)
    assert float(network.eval()(image).std()) < 1e-3  # drawn weights alone lose everything
    network = trained_like(network, (image,))
    assert 0.1 < float(network(image).std()) < 10
    assert not any(module.training for module in network.modules())
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.momentum == 0.1
            mean, var = layer.running_mean, layer.running_var
            assert isinstance(mean, torch.Tensor)
            assert isinstance(var, torch.Tensor)
            assert all(float((v - 1).abs().min()) > 0 for v in (var, layer.weight))
            assert all(float(v.abs().min()) > 0 for v in (mean, layer.bias))


def test_a_network_is_built_the_same_each_time_and_was_never_called() -> None:
    (first, inputs), (second, again) = built("yolo"), built("yolo")
    assert all(map(torch.equal, inputs, again))
    state = second.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in first.state_dict().items())
    grids: list[torch.Tensor] = first.get_submodule("").__dict__["grids"]
    assert [grid.numel() for grid in grids] == [0, 0]


def test_one_process_tells_of_every_target(capfd: pytest.CaptureFixture[str], out: Path) -> None:
    assert zoo_job.main(["siamese", "onnx", "--output", str(out)]) == 0
    ended = Ended(0, capfd.readouterr().out, "")
    row = read_job("siamese", "written here", ("onnx",), ended)
    cell = row.cells["onnx"]
    assert (cell.refusal, cell.partitions) == ("", 1)
    assert cell.bare is not None
    assert cell.bare.refusal == ""
    assert 0 < (cell.operators or 0) <= cell.bare.operators


def test_a_refusal_of_one_target_hides_no_other() -> None:
    manifest = {"target": "onnx", "macs": 5, "parity": None, "partitions": None}
    document = {
        "artifacts": [{"manifest": manifest}],
        "refusals": {"tflite": "no lowering for aten.det"},
        "bare": {"tflite": {"refusal": "", "partitions": 2, "operators": 9}},
    }
    row = read_job("net", "timm", ("onnx", "tflite"), Ended(0, json.dumps(document), ""))
    assert row.cells["onnx"].refusal == ""
    assert row.cells["tflite"].refusal == "no lowering for aten.det"
    assert "no [1] (bare 9 op.)" in markdown([row])


def _done(name: str, **cells: Cell) -> Row:
    return Row(name, "timm", "", 1_000_000, cells)


def test_what_is_done_is_not_done_again_and_targets_can_be_added(tmp_path: Path) -> None:
    results = tmp_path / "zoo.jsonl"
    made = Cell("", 1, 0, 3e-7, 12, Bare("", 1, 14))
    lines = [_done("unet", onnx=made), _done("unet", tflite=Cell("no lowering"))]
    results.write_text("".join(f"{as_line(row)}\n" for row in lines))
    given = ["unet", "--results", str(results), "--target", "onnx", "--target", "tflite"]
    done = CliRunner().invoke(zoo.main, given, catch_exceptions=False)
    assert len(results.read_text().splitlines()) == 2
    assert "| unet | timm | 1.0 | 1 part., 3.0e-07, 12 op. (bare 14) | no [1] |" in done.stdout
    assert "| onnx | 1 of 1 | 1 of 1 | 1 of 1 |" in done.stdout


def test_shares_count_what_was_exported() -> None:
    more, split = Cell("", 1, 0, 0.0, 9, Bare("", 1, 8)), Cell("", 3, 2, 0.0, 9, Bare("none"))
    rows = [_done("a", onnx=more), _done("b", onnx=split), _done("c", onnx=Cell("refused"))]
    assert "| onnx | 2 of 3 | 1 of 2 | 0 of 1 |" in shares(rows)


def test_the_readme_shows_the_results_beside_it() -> None:
    assert zoo.readme_with(zoo.table(rows_in(zoo.RESULTS))) == zoo.README.read_text("utf-8")
