"""torchvision's classification families, as data: how their checkpoints are recognised.

Static on purpose: listing model names must import neither torch nor torchvision. Strides,
paddings and activations leave no trace in a checkpoint; within a family they are those of the
published network of that name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class WidthRule:
    """How a family's width multiplier shows in tensor shapes.

    ``argument`` names the multiplier; ``channels`` gives, for some tensors, the first dimension
    at width 1, which the family rounds to a multiple of eight, never losing more than 10 %.
    """

    argument: str
    channels: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Family:
    """Builders that share tensor names.

    ``marker`` is a tensor only this family has; the first dimension of ``head`` is the class
    count. ``variants`` are arguments that change the function but no tensor: with more than one,
    the user must choose. ``absent`` maps a tensor name to the arguments that remove it.
    ``widths`` holds a rule by builder name.
    """

    names: tuple[str, ...]
    marker: str
    head: str
    widths: Mapping[str, WidthRule] = dataclasses.field(default_factory=dict[str, WidthRule])
    variants: tuple[Mapping[str, Any], ...] = ({},)
    absent: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=dict[str, Mapping[str, Any]]
    )


_TRANSFORMED = ({"transform_input": False}, {"transform_input": True})
"""Inception nets may renormalise their input inside; the tensors do not tell."""

MOBILENET_V2_WIDTH = WidthRule(
    "width_mult",
    {
        "features.0.0.weight": 32,
        "features.1.conv.1.weight": 16,
        "features.2.conv.2.weight": 24,
        "features.4.conv.2.weight": 32,
        "features.7.conv.2.weight": 64,
        "features.11.conv.2.weight": 96,
        "features.14.conv.2.weight": 160,
        "features.17.conv.2.weight": 320,
    },
)
MOBILENET_V3_SMALL_WIDTH = WidthRule(
    "width_mult",
    {
        "features.0.0.weight": 16,
        "features.2.block.2.0.weight": 24,
        "features.4.block.3.0.weight": 40,
        "features.7.block.3.0.weight": 48,
        "features.9.block.3.0.weight": 96,
        "features.9.block.0.0.weight": 288,
        "classifier.0.weight": 1024,
    },
)
MOBILENET_V3_LARGE_WIDTH = WidthRule(
    "width_mult",
    {
        "features.0.0.weight": 16,
        "features.2.block.0.0.weight": 64,
        "features.4.block.3.0.weight": 40,
        "features.7.block.2.0.weight": 80,
        "features.11.block.3.0.weight": 112,
        "features.13.block.3.0.weight": 160,
        "features.15.block.0.0.weight": 960,
        "classifier.0.weight": 1280,
    },
)
MNASNET_WIDTH = WidthRule(
    "alpha",
    {
        "layers.0.weight": 32,
        "layers.6.weight": 16,
        "layers.8.0.layers.6.weight": 24,
        "layers.9.0.layers.6.weight": 40,
        "layers.10.0.layers.6.weight": 80,
        "layers.11.0.layers.6.weight": 96,
        "layers.12.0.layers.6.weight": 192,
        "layers.13.0.layers.6.weight": 320,
    },
)

FAMILIES: tuple[Family, ...] = (
    Family(
        ("mobilenet_v2",),
        "features.1.conv.0.0.weight",
        "classifier.1.weight",
        widths={"mobilenet_v2": MOBILENET_V2_WIDTH},
    ),
    Family(
        ("mobilenet_v3_small", "mobilenet_v3_large"),
        "features.1.block.0.0.weight",
        "classifier.3.weight",
        widths={
            "mobilenet_v3_small": MOBILENET_V3_SMALL_WIDTH,
            "mobilenet_v3_large": MOBILENET_V3_LARGE_WIDTH,
        },
    ),
    Family(
        tuple(f"shufflenet_v2_x{scale}" for scale in ("0_5", "1_0", "1_5", "2_0")),
        "stage2.0.branch1.0.weight",
        "fc.weight",
    ),
    Family(
        (
            *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
            "resnext50_32x4d",
            "resnext101_32x8d",
            "resnext101_64x4d",
            "wide_resnet50_2",
            "wide_resnet101_2",
        ),
        "layer1.0.conv1.weight",
        "fc.weight",
    ),
    Family(("squeezenet1_0", "squeezenet1_1"), "features.3.squeeze.weight", "classifier.1.weight"),
    Family(
        ("mnasnet",),
        "layers.8.0.layers.0.weight",
        "classifier.1.weight",
        widths={"mnasnet": MNASNET_WIDTH},
    ),
    Family(
        (
            *(f"efficientnet_b{size}" for size in range(8)),
            *(f"efficientnet_v2_{size}" for size in "sml"),
        ),
        "features.1.0.block.0.0.weight",
        "classifier.1.weight",
    ),
    Family(
        tuple(f"densenet{depth}" for depth in (121, 161, 169, 201)),
        "features.denseblock1.denselayer1.norm1.weight",
        "classifier.weight",
    ),
    Family(
        (
            *(
                f"regnet_{kind}_{size}"
                for kind in "xy"
                for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")
            ),
            "regnet_y_128gf",
        ),
        "trunk_output.block1.block1-0.proj.0.weight",
        "fc.weight",
    ),
    Family(
        ("alexnet", *(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn"))),
        "classifier.6.weight",
        "classifier.6.weight",
    ),
    Family(
        tuple(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
        "features.1.0.layer_scale",
        "classifier.2.weight",
    ),
    Family(
        ("googlenet",),
        "inception3a.branch1.conv.weight",
        "fc.weight",
        variants=_TRANSFORMED,
        absent={"aux1.fc2.weight": {"aux_logits": False}},
    ),
    Family(
        ("inception_v3",),
        "Mixed_5b.branch1x1.conv.weight",
        "fc.weight",
        variants=_TRANSFORMED,
        absent={"AuxLogits.fc.weight": {"aux_logits": False}},
    ),
)

MNASNET_PUBLISHED: Mapping[float, str] = {
    0.5: "mnasnet0_5",
    0.75: "mnasnet0_75",
    1.0: "mnasnet1_0",
    1.3: "mnasnet1_3",
}
"""torchvision's own names for the published widths."""


def torchvision_names() -> tuple[str, ...]:
    """Return every torchvision name that :mod:`cnn_export.source.networks.detect` recognises."""
    names = {name for family in FAMILIES for name in family.names}
    return tuple(sorted(names | set(MNASNET_PUBLISHED.values())))


def family_of(name: str) -> Family | None:
    """Return the family that a torchvision name belongs to."""
    if name in MNASNET_PUBLISHED.values():
        name = "mnasnet"
    return next((family for family in FAMILIES if name in family.names), None)
