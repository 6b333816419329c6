"""The trainer's command line and the checkpoint that ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from cnn_export.models import train
from cnn_export.models.registry import architectures
from cnn_export.models.training import digits, trainer

SHIPPED = Path(train.__file__).parent / "checkpoints" / "skipnet_digits.pt"
TINY = ("--epochs=2", "--width=0.05", "--size-pixels=20", "--batch-size=8")


def tiny_parts(size_pixels: int) -> dict[digits.Part, digits.Digits]:
    generator = torch.Generator().manual_seed(size_pixels)
    counts: dict[digits.Part, int] = {"train": 24, "validation": 5, "held-out": 9}
    return {
        part: digits.Digits(
            torch.rand(count, 3, size_pixels, size_pixels, generator=generator),
            torch.arange(count) % 10,
        )
        for part, count in counts.items()
    }


@pytest.fixture(autouse=True)
def tiny_digits(monkeypatch, request):
    if "real_digits" not in request.fixturenames:
        monkeypatch.setattr(digits, "load_digits", tiny_parts)


@pytest.fixture
def real_digits():
    return digits.load_digits(32)


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(train.command, [str(argument) for argument in arguments])


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def interrupt_second_epoch(monkeypatch) -> None:
    def train_epoch(run, data):
        if run.epoch == 1:
            raise KeyboardInterrupt
        return trainer.train_epoch(run, data)

    monkeypatch.setattr(train, "train_epoch", train_epoch)


def assert_same_weights(one: Path, other: Path) -> None:
    weights, others = load(one)["state_dict"], load(other)["state_dict"]
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_checkpoint_says_how_to_build_and_how_it_was_trained(tmp_path):
    result = command("--out", tmp_path / "d.pt", "--loss=cross-entropy", "--seed=4", *TINY)
    assert result.exit_code == 0, result.output
    content = load(tmp_path / "d.pt")
    model = architectures()[content["arch"]].build(**content["model_args"])
    model.load_state_dict(content["state_dict"], strict=True)
    assert content["input_size"] == [3, 20, 20]
    assert content["classes"] == 10
    assert content["normalization"] == {"mean": [0.305] * 3, "std": [0.324] * 3}
    recorded = content["training"]
    assert {recorded[key] for key in ("loss", "seed", "epochs")} == {"cross-entropy", 4, 2}
    assert [recorded[f"{part}_count"] for part in ("train", "validation", "held_out")] == [24, 5, 9]
    held_out = tiny_parts(20)["held-out"]
    assert recorded["held_out_accuracy"] == trainer.accuracy(model, held_out)
    assert [path.name for path in tmp_path.iterdir()] == ["d.pt"]


def test_held_out_images_do_not_change_the_weights(tmp_path, monkeypatch):
    command("--out", tmp_path / "one.pt", *TINY)

    def other_held_out(size_pixels):
        parts = tiny_parts(size_pixels)
        for part in ("held-out", "validation"):
            parts[part] = digits.Digits(1 - parts[part].images, 9 - parts[part].labels)
        return parts

    monkeypatch.setattr(digits, "load_digits", other_held_out)
    command("--out", tmp_path / "other.pt", *TINY)
    assert_same_weights(tmp_path / "one.pt", tmp_path / "other.pt")


def test_interrupted_run_resumes_to_the_same_weights(tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    assert command("--out", whole, *TINY).exit_code == 0
    with monkeypatch.context() as interrupted:
        interrupt_second_epoch(interrupted)
        assert command("--out", broken, *TINY).exit_code == 1
    assert not broken.exists()
    assert command("--out", broken, "--resume", *TINY).exit_code == 0
    assert_same_weights(whole, broken)


def test_interrupted_run_is_neither_dropped_nor_continued_unasked(tmp_path, monkeypatch):
    out = tmp_path / "d.pt"
    with monkeypatch.context() as interrupted:
        interrupt_second_epoch(interrupted)
        command("--out", out, *TINY)
    result = command("--out", out, *TINY)
    assert result.exit_code == 1
    assert "add --resume or --restart" in result.output
    result = command("--out", out, "--resume", "--seed=1", *TINY)
    assert "another seed" in result.output
    assert command("--out", out, "--restart", "--seed=1", *TINY).exit_code == 0
    assert load(out)["training"]["seed"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "missing/d.pt"), "missing does not exist"),
        (("--out", "d.pt", "--resume"), "no interrupted run"),
        (("--out", "d.pt", "--batch-size=25"), "24 images do not fill a batch of 25"),
        (("--out", "d.pt", "--loss=hinge"), "'hinge' is not one of"),
        (("--out", "d.pt", "--size-pixels=16"), "16 is not in the range"),
        ((), "Missing option '--out'"),
    ],
)
def test_unusable_options_are_refused_in_words(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = command(*arguments)
    assert result.exit_code in (1, 2)
    assert message in result.output
    assert list(tmp_path.iterdir()) == []


def test_shipped_checkpoint_reproduces_its_recorded_accuracy(real_digits):
    content = load(SHIPPED)
    model = architectures()["skipnet"].build(**content["model_args"])
    model.load_state_dict(content["state_dict"], strict=True)
    recorded = content["training"]
    held_out = real_digits["held-out"]
    assert recorded["loss"] == "bias"
    assert recorded["held_out_count"] == len(held_out) == 360
    assert recorded["held_out_accuracy"] >= 0.97
    # Other processors may round one image to the other side.
    tolerance = 1 / len(held_out) + 1e-9
    assert abs(trainer.accuracy(model, held_out) - recorded["held_out_accuracy"]) <= tolerance


def test_shipped_checkpoint_is_small_and_recognised():
    shapes = {name: tuple(t.shape) for name, t in load(SHIPPED)["state_dict"].items()}
    assert architectures()["skipnet"].detect(shapes) == load(SHIPPED)["model_args"]
    assert SHIPPED.stat().st_size <= 2_000_000
