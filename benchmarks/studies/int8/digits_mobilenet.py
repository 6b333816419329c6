"""A small MobileNetV3, trained on the digits in half a minute: gates and hard-swish with weights.

Of MobileNetV3 no trained weights come with a package that pins them; this one is the same every
time on one machine. Its parts are torchvision's own: hard-swish, squeeze-and-excite with
hard-sigmoid, both kinds of kernels, a shortcut (arXiv 1905.02244, table 2, cut to 32 × 32).
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.training.digits import CLASSES, Digits, augment, normalize
from cnn_export.models.training.trainer import schedule

_EPOCHS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY, _SEED = 40, 64, 6e-3, 0.02, 5
_LAST_CHANNELS = 128
_BLOCKS = (
    (16, 3, 16, 16, True, "RE", 1),
    (16, 3, 48, 24, False, "RE", 2),
    (24, 5, 72, 24, True, "HS", 1),
    (24, 5, 72, 40, True, "HS", 2),
    (40, 5, 120, 40, True, "HS", 1),
)
"""Channels in, kernel, expanded, out, squeeze-and-excite, activation, stride."""


def trained_mobilenet_v3(train: Digits) -> nn.Module:
    """Return the network in evaluation mode; batch normalization saw whole batches only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        network = _untrained()
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=_WEIGHT_DECAY)
        count = len(train) // _BATCH * _BATCH
        for epoch in range(_EPOCHS):
            batches = torch.randperm(len(train))[:count].split(_BATCH)
            for index, chosen in enumerate(batches):
                rate = schedule((epoch + index / len(batches)) / _EPOCHS)
                for group in optimizer.param_groups:
                    group["lr"] = _LEARNING_RATE * rate
                logits = network(normalize(augment(train.images[chosen])))
                optimizer.zero_grad()
                functional.cross_entropy(logits, train.labels[chosen]).backward()
                optimizer.step()
    return network.eval()


def _untrained() -> nn.Module:
    from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

    row: Any = functools.partial(InvertedResidualConfig, dilation=1, width_mult=1.0)
    network: Any = MobileNetV3
    return network([row(*each) for each in _BLOCKS], _LAST_CHANNELS, num_classes=CLASSES)
