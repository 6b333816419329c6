"""Networks that several tests export: small, with odd and non-square shapes, BN never identity."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class TwoInTwoOut(nn.Module):
    """A user's own module: two named inputs of other sizes, a dict of two outputs."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.image_conv = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.mask_conv = nn.Conv2d(1, channels, 1)
        self.head = nn.Linear(channels, 5)

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        features = torch.relu(self.norm(self.image_conv(image))) + self.mask_conv(mask)
        return {"logits": self.head(features.mean((2, 3))), "features": features}


TWO_SHAPES = {"image": (1, 3, 17, 24), "mask": (1, 1, 9, 12)}


class SmallNet(nn.Module):
    """conv, BN, ReLU6, padded depthwise conv, pool, linear: enough to damage in every way."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 6)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = functional.relu6(self.norm(self.conv(image)))
        features = self.depthwise(features)
        # Two outputs of one shape, so that swapping them shows in nothing but the values.
        logits = self.head(functional.adaptive_avg_pool2d(features, 1).flatten(1))
        return logits, torch.sigmoid(logits)


class Determinant(nn.Module):
    """Holds an operator that no mobile format has."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.linalg.det(self.conv(image)[:, :, :4, :4])


def randomize_batch_norm(module: nn.Module) -> None:
    """Give every batch normalization statistics and an affine map that are not the identity."""
    for layer in module.modules():
        if not isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            continue
        if layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_(0, 0.5)
            layer.running_var.uniform_(0.3, 2.0)
        if layer.affine:
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return the module in eval mode with random BN statistics."""
    torch.manual_seed(seed)
    randomize_batch_norm(module)
    return module.eval()


def two_in_two_out() -> nn.Module:
    torch.manual_seed(3)
    return seeded(TwoInTwoOut())


def small_net() -> nn.Module:
    torch.manual_seed(4)
    return seeded(SmallNet())
