"""Training a classifier on the digits: one epoch at a time, each resumable.

Every epoch seeds its own random numbers from the run's seed, so that the weights after epoch *k*
depend on the configuration only, not on whether the run was interrupted in between.
"""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cnn_export.atomic_commit import replaced
from cnn_export.models.families.shufflenet_v2 import ShuffleNetV2
from cnn_export.models.families.skipnet import SkipNet, skipnet
from cnn_export.models.training import digits
from cnn_export.models.training.losses import BiasLoss

Classifier = SkipNet | ShuffleNetV2
"""Networks that hand out their last feature maps, which Bias Loss reads."""

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "bias": lambda: BiasLoss(normalization="local"),
    "cross-entropy": lambda: BiasLoss(alpha=0.0, beta=0.0),
}
_EPOCH_SEED_STRIDE = 100_003
_WARM_UP_FRACTION = 0.1
_EVALUATION_BATCH = 256


class TrainingError(Exception):
    """A run that cannot start as asked; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run's weights, next to the images themselves."""

    loss: str = "bias"
    seed: int = 0
    epochs: int = 60
    width: float = 0.2
    size_pixels: int = 32
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 0.02


@dataclasses.dataclass
class Run:
    """A network in training. ``epoch`` counts finished epochs."""

    config: Config
    model: Classifier
    optimizer: torch.optim.Optimizer
    epoch: int = 0


def start(config: Config, build: Callable[[], Classifier] | None = None) -> Run:
    """Return an untrained run with weights drawn from ``config.seed``.

    ``build`` makes another network of :data:`~.digits.CLASSES` than a SkipNet of ``config.width``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build() if build else skipnet(config.width, digits.CLASSES, digits.CHANNELS)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=config.weight_decay)
    return Run(config, model, optimizer)


def train_epoch(run: Run, data: digits.Digits) -> float:
    """Train one epoch in place and return its mean loss.

    Raises:
        TrainingError: the images do not fill one batch.
    """
    config = run.config
    if len(data) < config.batch_size:
        raise TrainingError(f"{len(data)} images do not fill a batch of {config.batch_size}")
    loss_function = LOSSES[config.loss]()
    run.model.train()
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed * _EPOCH_SEED_STRIDE + run.epoch + 1)
        # Whole batches only: batch norm cannot train on a last batch of one.
        count = len(data) // config.batch_size * config.batch_size
        batches = torch.randperm(len(data))[:count].split(config.batch_size)
        for index, batch in enumerate(batches):
            progress = (run.epoch + index / len(batches)) / config.epochs
            _set_learning_rate(run.optimizer, config.learning_rate * schedule(progress))
            images = digits.normalize(digits.augment(data.images[batch]))
            features = run.model.forward_features(images)
            logits = run.model.forward_head(features)
            loss = loss_function(features, logits, data.labels[batch])
            run.optimizer.zero_grad()
            loss.backward()
            run.optimizer.step()
            total += loss.item()
    run.epoch += 1
    return total / len(batches)


def schedule(progress: float) -> float:
    """Return the share of the peak learning rate at ``progress`` in [0, 1].

    Linear warm-up over the first tenth, then half a cosine down to 0 (arXiv 1608.03983).
    """
    if progress < _WARM_UP_FRACTION:
        return progress / _WARM_UP_FRACTION
    decay = (progress - _WARM_UP_FRACTION) / (1 - _WARM_UP_FRACTION)
    return 0.5 * (1 + math.cos(math.pi * decay))


def accuracy(model: nn.Module, data: digits.Digits) -> float:
    """Return the share of images that ``model``, set to ``eval``, classifies correctly."""
    model.eval()
    correct = 0
    with torch.inference_mode():
        for batch in torch.arange(len(data)).split(_EVALUATION_BATCH):
            logits = model(digits.normalize(data.images[batch]))
            correct += int((logits.argmax(dim=1) == data.labels[batch]).sum())
    return correct / len(data)


def save_state(run: Run, path: Path) -> None:
    """Write the run to ``path`` atomically: a broken write leaves the state before it."""
    write_atomically(
        path,
        {
            "config": dataclasses.asdict(run.config),
            "epoch": run.epoch,
            "model": run.model.state_dict(),
            "optimizer": run.optimizer.state_dict(),
        },
    )


def load_state(path: Path, config: Config) -> Run:
    """Return the interrupted run saved at ``path``.

    Raises:
        TrainingError: the state is damaged, or another configuration's; names what differs.
    """
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{path} is damaged; start anew with --restart") from error
    asked = dataclasses.asdict(config)
    differing = [key for key in asked if state["config"].get(key) != asked[key]]
    if differing:
        raise TrainingError(
            f"{path} was interrupted with another {', '.join(differing)}; "
            "use the same options or start anew with --restart"
        )
    run = start(config)
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.epoch = state["epoch"]
    return run


def write_atomically(path: Path, content: dict[str, Any]) -> None:
    """``torch.save`` to ``path``, at once or not at all.

    Raises:
        DestinationError: it cannot be written; what was there is as it was.
    """
    with replaced(path) as staged:
        torch.save(content, staged)


def _set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
