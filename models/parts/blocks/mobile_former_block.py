"""Mobile-Former's block: a bottleneck on pixels, a transformer layer on tokens, a bridge each way.

Figure 3 of arXiv 2108.05895, in the arithmetic of the unofficial code whose tensor names these
are. Where that code reshapes heads and pixels without transposing, so does this.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from cnn_export.models.parts.conv_norm import conv_norm

EMBEDDING, HEADS, HEAD_CHANNELS = 192, 2, 32
DROPOUT = 0.3
_RELU_REDUCTION, _RELU_PIECES = 4, 2


class MobileFormerBlock(nn.Module):
    """Tokens attend to pixels and one another, pixels are convolved and attend to the tokens."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        kind = MobileDown if stride == 2 else Mobile
        self.mobile = kind(inputs, hidden, outputs)
        self.mobile2former = Mobile2Former(inputs)
        self.former = Former()
        self.former2mobile = Former2Mobile(outputs)

    def forward(
        self, maps: torch.Tensor, tokens: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map pixels (N, in, H, W) and tokens (N, 6, 192)."""
        tokens = self.former(self.mobile2former(maps, tokens))
        return self.former2mobile(self.mobile(maps), tokens), tokens


class _Bottleneck(nn.Module):
    """What both kinds hold of dynamic ReLU, and never use."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(EMBEDDING, EMBEDDING // _RELU_REDUCTION)
        self.fc2 = nn.Linear(EMBEDDING // _RELU_REDUCTION, 2 * _RELU_PIECES * hidden)


class Mobile(_Bottleneck):
    """1×1, depthwise 3×3, 1×1; the shortcut convolved where the channels differ."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(hidden)
        self.conv1, self.bn1 = _pointwise(inputs, hidden)
        self.conv2, self.bn2 = _depthwise(hidden, hidden)
        self.conv3, self.bn3 = _pointwise(hidden, outputs)
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(*_pointwise(inputs, outputs))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        widened = functional.relu6(self.bn1(self.conv1(maps)))
        convolved = functional.relu6(self.bn2(self.conv2(widened)))
        return self.bn3(self.conv3(convolved)) + self.shortcut(maps)


class MobileDown(_Bottleneck):
    """Depthwise 3×3 of stride 2, 1×1, depthwise 3×3, 1×1."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(hidden)
        self.dw_conv1, self.dw_bn1 = _depthwise(inputs, hidden, stride=2)
        self.pw_conv1, self.pw_bn1 = _pointwise(hidden, inputs)
        self.dw_conv2, self.dw_bn2 = _depthwise(inputs, hidden)
        self.pw_conv2, self.pw_bn2 = _pointwise(hidden, outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, ⌈H/2⌉, ⌈W/2⌉)."""
        maps = functional.relu6(self.dw_bn1(self.dw_conv1(maps)))
        maps = functional.relu(self.pw_bn1(self.pw_conv1(maps)))
        maps = functional.relu6(self.dw_bn2(self.dw_conv2(maps)))
        return self.pw_bn2(self.pw_conv2(maps))


class Mobile2Former(nn.Module):
    """Tokens ask, pixels are keys and values of every head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.to_q = nn.Linear(EMBEDDING, HEADS * channels)
        self.to_out = nn.Sequential(nn.Linear(HEADS * channels, EMBEDDING), nn.Dropout(DROPOUT))

    def forward(self, maps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return tokens (N, 6, 192), what they read from maps (N, C, H, W) added."""
        count = tokens.shape[1]
        queries = self.to_q(tokens).reshape(-1, HEADS, count, self.channels)
        pixels = maps.flatten(2).transpose(1, 2).unsqueeze(1)
        read = _attend(queries, pixels, pixels, self.channels)
        joined = read.transpose(1, 2).reshape(-1, count, HEADS * self.channels)
        return self.to_out(joined) + tokens


class Former2Mobile(nn.Module):
    """Pixels ask, tokens are keys and values."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.to_k = nn.Linear(EMBEDDING, HEADS * channels)
        self.to_v = nn.Linear(EMBEDDING, HEADS * channels)
        self.to_out = nn.Sequential(nn.Linear(HEADS * channels, channels), nn.Dropout(DROPOUT))

    def forward(self, maps: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return maps (N, C, H, W), what they read from tokens (N, 6, 192) added.

        What is read, (N, H·W, C), is taken as (N, C, H, W) without a transposition, as in the code
        that the weights were trained with.
        """
        shape = (-1, HEADS, tokens.shape[1], self.channels)
        keys, values = self.to_k(tokens).reshape(shape), self.to_v(tokens).reshape(shape)
        height, width = maps.shape[-2:]
        pixels = maps.flatten(2).transpose(1, 2).unsqueeze(1)
        read = _attend(pixels, keys, values, self.channels).transpose(1, 2)
        joined = self.to_out(read.reshape(-1, height * width, HEADS * self.channels))
        return joined.reshape(-1, self.channels, height, width) + maps


class Former(nn.Module):
    """A transformer layer, normalized before attention and before the two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        attention, linear = _Normalized(Attention()), _Normalized(FeedForward())
        self.layers = nn.ModuleList([nn.ModuleList([attention, linear])])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, 6, 192)."""
        for layer in self.layers[0].children():
            tokens = tokens + layer(tokens)
        return tokens


class _Normalized(nn.Module):
    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(EMBEDDING)
        self.fn = function

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fn(self.norm(tokens))


class Attention(nn.Module):
    """Attention of the tokens to one another."""

    def __init__(self) -> None:
        super().__init__()
        joined = HEADS * HEAD_CHANNELS
        self.to_qkv = nn.Linear(EMBEDDING, 3 * joined, bias=False)
        self.to_out = nn.Sequential(nn.Linear(joined, EMBEDDING), nn.Dropout(DROPOUT))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, 6, 192)."""
        count = tokens.shape[1]
        queries, keys, values = (
            part.reshape(-1, count, HEADS, HEAD_CHANNELS).transpose(1, 2)
            for part in self.to_qkv(tokens).chunk(3, -1)
        )
        read = _attend(queries, keys, values, HEAD_CHANNELS)
        return self.to_out(read.transpose(1, 2).reshape(-1, count, HEADS * HEAD_CHANNELS))


class FeedForward(nn.Module):
    """Two linear layers of twice the width."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(EMBEDDING, 2 * EMBEDDING),
            nn.GELU(approximate="tanh"),
            nn.Dropout(DROPOUT),
            nn.Linear(2 * EMBEDDING, EMBEDDING),
            nn.Dropout(DROPOUT),
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map tokens (N, 6, 192)."""
        return self.net(tokens)


def _attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, channels: int
) -> torch.Tensor:
    """softmax(q·kᵀ / √C) · v over (N, heads, length, C); a head of one stands for all."""
    weights = (queries @ keys.transpose(2, 3) * channels**-0.5).softmax(-1)
    return weights @ values


def _pointwise(inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return conv_norm(inputs, outputs, 1)


def _depthwise(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    return conv_norm(inputs, outputs, 3, stride, groups=inputs)
