"""The training loop: seeds, learning rate, resuming."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from cnn_export.errors import DestinationError
from cnn_export.models.training import trainer
from cnn_export.models.training.digits import Digits

CONFIG = trainer.Config(epochs=3, width=0.05, size_pixels=20, batch_size=8)


@pytest.fixture
def data() -> Digits:
    generator = torch.Generator().manual_seed(5)
    return Digits(torch.rand(21, 3, 20, 20, generator=generator), torch.arange(21) % 10)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    tensors, others = one.state_dict(), other.state_dict()
    return all(torch.equal(tensors[name], others[name]) for name in tensors)


def finish(run: trainer.Run, data: Digits) -> trainer.Run:
    while run.epoch < run.config.epochs:
        trainer.train_epoch(run, data)
    return run


def test_resumed_run_reaches_the_uninterrupted_weights(tmp_path, data):
    whole = finish(trainer.start(CONFIG), data)
    begun = trainer.start(CONFIG)
    trainer.train_epoch(begun, data)
    trainer.save_state(begun, tmp_path / "state")
    torch.rand(17)  # a new process stands elsewhere in the random sequence
    resumed = trainer.load_state(tmp_path / "state", CONFIG)
    assert resumed.epoch == 1
    assert same_weights(finish(resumed, data).model, whole.model)


@pytest.mark.parametrize("change", [{"seed": 1}, {"loss": "cross-entropy"}, {"batch_size": 7}])
def test_seed_loss_and_batch_size_matter(data, change):
    base = trainer.start(CONFIG)
    other = trainer.start(dataclasses.replace(CONFIG, **change))
    for run in (base, other):
        trainer.train_epoch(run, data)
        trainer.train_epoch(run, data)
    assert not same_weights(base.model, other.model)


def test_every_epoch_draws_its_own_order(data, monkeypatch):
    drawn = []
    monkeypatch.setattr(trainer.digits, "augment", lambda images: drawn.append(images) or images)
    run = trainer.start(CONFIG)
    trainer.train_epoch(run, data)
    trainer.train_epoch(run, data)
    first, second = torch.cat(drawn[:2]), torch.cat(drawn[2:])
    assert first.shape == second.shape
    assert not torch.equal(first, second)


def test_training_leaves_the_global_generator_alone(data):
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    trainer.train_epoch(trainer.start(CONFIG), data)
    assert torch.equal(torch.rand(3), expected)


def test_training_learns_two_clear_classes():
    labels = torch.arange(32) % 2
    images = torch.zeros(32, 3, 20, 20)
    images[labels == 0, :, 2:8] = 1
    images[labels == 1, :, :, 2:8] = 1
    run = trainer.start(dataclasses.replace(CONFIG, loss="cross-entropy", epochs=15))
    losses = [trainer.train_epoch(run, Digits(images, labels)) for _ in range(15)]
    # Guessing between the two classes costs log 2.
    assert losses[-1] < 0.5 * math.log(2)
    assert trainer.accuracy(run.model, Digits(images, labels)) > 0.9


def test_another_configuration_is_not_resumed(tmp_path):
    trainer.save_state(trainer.start(CONFIG), tmp_path / "state")
    other = dataclasses.replace(CONFIG, seed=1, width=0.1)
    with pytest.raises(trainer.TrainingError, match="another seed, width;"):
        trainer.load_state(tmp_path / "state", other)


def test_damaged_state_is_refused(tmp_path):
    (tmp_path / "state").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(trainer.TrainingError, match=r"damaged.*--restart"):
        trainer.load_state(tmp_path / "state", CONFIG)


def test_broken_write_keeps_the_state_before(tmp_path, monkeypatch):
    path = tmp_path / "state"
    trainer.write_atomically(path, {"epoch": 1})

    def broken_save(content, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", broken_save)
    with pytest.raises(DestinationError, match="disk full"):
        trainer.write_atomically(path, {"epoch": 2})
    assert torch.load(path, weights_only=True) == {"epoch": 1}


def test_too_few_images_for_a_batch_are_refused(data):
    run = trainer.start(dataclasses.replace(CONFIG, batch_size=22))
    with pytest.raises(trainer.TrainingError, match=r"21 images.*batch of 22"):
        trainer.train_epoch(run, data)


@pytest.mark.parametrize(
    ("progress", "share"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0)]
)
def test_schedule_warms_up_and_decays(progress, share):
    assert trainer.schedule(progress) == pytest.approx(share, abs=1e-12)


def test_accuracy_counts_correct_images():
    class Dark(nn.Module):
        """Says 1 for dark images, else 0."""

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            dark = image.mean(dim=(1, 2, 3)) < 0
            return torch.stack([~dark, dark], dim=1).float()

    images = torch.cat([torch.zeros(300, 3, 4, 4), torch.ones(100, 3, 4, 4)])
    labels = torch.cat([torch.ones(297), torch.zeros(103)]).long()
    assert trainer.accuracy(Dark(), Digits(images, labels)) == 397 / 400
