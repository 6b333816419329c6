"""The digits: split, scale and augmentation."""

from __future__ import annotations

from importlib import metadata

import pytest
import torch
from sklearn import datasets

from cnn_export.errors import TargetUnavailable
from cnn_export.models.training import digits


@pytest.fixture(scope="module")
def parts():
    return digits.load_digits(32)


def test_split_is_disjoint_complete_and_fixed():
    parts = digits.split(1797)
    indices = torch.cat(list(parts.values()))
    assert sorted(indices.tolist()) == list(range(1797))
    assert [len(part) for part in parts.values()] == [1257, 180, 360]
    assert all(
        torch.equal(part, again)
        for part, again in zip(parts.values(), digits.split(1797).values(), strict=True)
    )


def test_every_part_holds_every_class(parts):
    for part in parts.values():
        assert torch.bincount(part.labels, minlength=10).min() >= len(part) / 20


def test_images_are_the_originals_enlarged(parts):
    raw = datasets.load_digits()
    index = digits.split(1797)["held-out"][5]
    image = parts["held-out"].images[5]
    assert image.shape == (3, 32, 32)
    assert parts["held-out"].labels[5] == raw.target[index]
    # Bilinear by four keeps the mean of each image away from its border exactly, overall nearly.
    centre = image[0].reshape(8, 4, 8, 4).mean(dim=(1, 3))
    assert (centre - torch.from_numpy(raw.images[index]) / 16).abs().mean() < 0.1
    assert torch.equal(image[0], image[2])


def test_normalized_train_images_have_mean_zero_and_deviation_one(parts):
    normalized = digits.normalize(parts["train"].images)
    assert normalized.mean().abs() < 0.01
    assert (normalized.std() - 1).abs() < 0.01


def test_augmentation_without_strength_changes_nothing(parts):
    images = parts["train"].images[:8]
    same = digits.augment(images, degrees=0, shift=0, scale=0)
    torch.testing.assert_close(same, images, rtol=1e-4, atol=1e-5)


def test_augmentation_moves_ink_by_at_most_the_shift():
    images = torch.zeros(64, 1, 41, 31)
    images[:, :, 20, 15] = 1
    torch.manual_seed(0)
    moved = digits.augment(images, degrees=0, shift=0.1, scale=0)
    row = (moved.sum(dim=(1, 3)) * torch.arange(41)).sum(1) / moved.sum(dim=(1, 2, 3))
    offset = (row - 20).abs()
    assert offset.max() <= 4.1 + 1e-3
    assert offset.max() > 2


def test_augmentation_turns_without_stretching():
    images = torch.zeros(1, 1, 65, 65)
    images[:, :, 32, 20:45] = 1
    torch.manual_seed(1)
    turned = digits.augment(images, degrees=90, shift=0, scale=0)
    assert turned.sum().item() == pytest.approx(images.sum().item(), rel=0.03)
    assert turned[0, 0, 32, 20:45].sum() < 20


def test_missing_scikit_learn_names_the_install_line(monkeypatch):
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(TargetUnavailable, match=r"^scikit-learn is not installed; .*\[train\]"):
        digits.load_digits(32)
