"""The training study: what judges never trains, merging changes no answer, and the intervals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from scipy import stats
from torch import nn

from cnn_export.benchmarks.studies.training import compare
from cnn_export.benchmarks.studies.training.runs import Job, Outcome, merged, outcome, trained
from cnn_export.benchmarks.studies.training.table import STUDENT, difference, markdown
from cnn_export.benchmarks.studies.training.variants import NETWORKS, VARIANTS
from cnn_export.models.parts.acb_block import ACBlock
from cnn_export.models.training.digits import Digits, load_digits, normalize

SKIPNET, SHUFFLENET = NETWORKS


@pytest.fixture(scope="module")
def parts():
    """64 images to train on, one batch, and 24 held out."""
    whole = load_digits(32)
    counts = {"train": 64, "validation": 0, "held-out": 24}
    return {p: Digits(whole[p].images[:n], whole[p].labels[:n]) for p, n in counts.items()}


def calls(graph_module: torch.fx.GraphModule, part_of_name: str) -> int:
    nodes = (node for node in graph_module.graph.nodes if node.op == "call_function")
    return sum(part_of_name in str(node.target) for node in nodes)


def test_only_the_train_part_is_trained_on(parts):
    """Other parts of no numbers leave the weights as they are."""
    job = Job(SHUFFLENET, "Bias Loss", 0, 1)
    poisoned = {
        part: data if part == "train" else Digits(data.images * float("nan"), data.labels)
        for part, data in parts.items()
    }
    found = outcome(job, poisoned)
    assert all(weight.isfinite().all() for weight in trained(job, parts["train"]).parameters())
    assert found.correct == int((poisoned["held-out"].labels == 0).sum())  # NaN's largest is first
    assert found.images == 24


def test_trained_blocks_merge_to_the_plain_network(parts):
    network = trained(Job(SKIPNET, "asymmetric blocks", 1, 2), parts["train"])
    blocks = [module for module in network.modules() if isinstance(module, ACBlock)]
    assert all(block.ver_bn.weight.abs().max() > 0 for block in blocks)  # zero before training
    images = normalize(parts["held-out"].images)
    graph_module = merged(network, images[:2])
    with torch.inference_mode():
        torch.testing.assert_close(graph_module(images)[0], network(images), rtol=1e-3, atol=1e-4)
    plain = [each for each in NETWORKS[SKIPNET]().modules() if isinstance(each, nn.Conv2d)]
    assert calls(graph_module, "conv") == len(plain)
    assert calls(graph_module, "batch_norm") == 0


def test_variants_of_a_seed_start_alike_and_end_apart(parts):
    images = normalize(parts["held-out"].images)
    before, after = (
        [trained(Job(SHUFFLENET, v, 2, n), parts["train"])(images).detach() for v in VARIANTS]
        for n in (0, 2)
    )
    torch.testing.assert_close(before[0], before[2], rtol=1e-4, atol=1e-5)
    assert torch.equal(before[0], before[1])
    assert not torch.allclose(after[0], after[1], rtol=1e-3)
    assert not torch.allclose(after[0], after[2], rtol=1e-3)


def test_runs_are_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Job] = []

    def quick(job: Job, _parts: object) -> Outcome:
        asked.append(job)
        return Outcome(job, 90 + job.seed, 100, 0, 1.0)

    monkeypatch.setattr(compare, "outcome", quick)
    monkeypatch.setattr(compare, "load_digits", lambda size_pixels: {})
    arguments = ["--results", str(tmp_path / "r.jsonl"), "--epochs", "1", "--seeds"]
    for seeds in ("1", "2", "2"):
        table = CliRunner().invoke(compare.main, [*arguments, seeds], catch_exceptions=False)
    assert len(asked) == len(set(asked)) == 2 * len(NETWORKS) * len(VARIANTS)
    assert f"| {SKIPNET} | Bias Loss | 90.00% | 91.00% | 90.50% | +0.00 " in table.stdout


def test_a_difference_of_three_seeds_has_student_s_interval() -> None:
    for freedom, quantile in enumerate(STUDENT, start=1):
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=5e-4)
    # Mean 2, deviation 1: 2 ± 4.303 / √3.
    assert difference([0.01, 0.02, 0.03]) == "+2.00 (-0.48 to +4.48)"
    assert difference([0.01]) == "one pair"


def test_pairs_are_of_one_seed() -> None:
    figures = {"cross-entropy": {0: 90, 1: 95, 2: 80}, "Bias Loss": {2: 81, 0: 92, 1: 98}}
    outcomes = [
        Outcome(Job(SKIPNET, variant, seed, 20), correct, 100, seed or None, 40.0)
        for variant, found in figures.items()
        for seed, correct in found.items()
    ]
    rows = markdown(outcomes).splitlines()
    assert rows[2].endswith("| 90.00% | 95.00% | 80.00% | 88.33% |  | 3 of 200 | 40 |")
    assert "| 92.00% | 98.00% | 81.00% | 90.33% | +2.00 (-0.48 to +4.48) |" in rows[3]


def test_the_readme_s_table_is_that_of_the_runs() -> None:
    found = compare.outcomes_in(compare.RESULTS)
    assert compare.readme_with(markdown(found)) == compare.README.read_text("utf-8")
    assert sum(each.merged_differing or 0 for each in found) == 0
    assert {each.images for each in found} == {360}
