"""The worked example of the README is code that runs."""

import re
from pathlib import Path

import torch
from pass_checks import check_pass
from torch import nn

from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.passes.branches.algebra import reading
from cnn_export.reparam.passes.branches.merge_linear_branches import MergeLinearBranches

README = Path(__file__).parents[2] / "reparam" / "README.md"


def _blocks():
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_example_pass_and_its_test_run():
    source = next(block for block in _blocks() if "class MergeRelu" in block)
    test = next(block for block in _blocks() if "def test_merges" in block)
    names = {"nn": nn, "torch": torch, "check_pass": check_pass, "__name__": "example"}
    exec(compile(source + test, str(README), "exec"), names)  # noqa: S102 - our own document
    names["test_merges"]()
    kept = check_pass(names["MergeRelu"](), nn.Sequential(nn.ReLU(), nn.Tanh()), torch.randn(2, 3))
    assert kept.ops == ["relu", "tanh"]


def test_example_operator_and_its_test_run(monkeypatch):
    source = next(block for block in _blocks() if "def read_unshuffle" in block)
    test = next(block for block in _blocks() if "def test_unshuffle" in block)
    names = {"nn": nn, "torch": torch, "check_pass": check_pass, "__name__": "example",
             "MergeLinearBranches": MergeLinearBranches}  # fmt: skip
    exec(compile(source + test, str(README), "exec"), names)  # noqa: S102 - our own document
    monkeypatch.setattr(reading, "READERS", (*reading.READERS, names["read_unshuffle"]))
    names["test_unshuffle_merges_with_a_strided_convolution"]()


def test_usage_example_runs():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    names = {"model": model.eval(), "image": torch.randn(1, 3, 8, 6)}
    exec(compile(_blocks()[0], str(README), "exec"), names)  # noqa: S102 - our own document
    assert names["report"].modified
    exported = names["artifact_program"].exported.module()
    torch.testing.assert_close(exported(names["image"])[0], model(names["image"]))


def test_table_lists_every_pass_in_order():
    section = README.read_text(encoding="utf-8").split("## Passes, in order")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == [each.name for each in DEFAULT_PASSES]
