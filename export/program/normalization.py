"""What a network expects of pixels, ``(pixel / 255 − mean) / std`` per channel, and its text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from cnn_export.errors import UsageError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Normalization:
    """Per-channel statistics; ``text`` is how they were written: equal ones may differ there."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    text: str = dataclasses.field(compare=False)

    def fits(self, channels: int) -> bool:
        """Whether an image of that many channels can be normalized by it."""
        return len(self.mean) in (1, channels)


def parse_normalization(text: str) -> Normalization:
    """Return the statistics of ``imagenet`` or ``m1,m2,m3/s1,s2,s3``.

    Raises:
        UsageError: neither of the two.
    """
    if text == "imagenet":
        return Normalization(IMAGENET_MEAN, IMAGENET_STD, text)
    try:
        mean, std = (tuple(float(v) for v in part.split(",")) for part in text.split("/"))
    except ValueError:
        raise UsageError(
            f"normalization {text!r} is neither 'imagenet' nor 'MEAN,…/STD,…'"
        ) from None
    return Normalization(mean, std, text)


def normalization_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """Return ``imagenet`` or ``m1,m2,m3/s1,s2,s3``."""
    if (tuple(mean), tuple(std)) == (IMAGENET_MEAN, IMAGENET_STD):
        return "imagenet"
    return "/".join(",".join(map(str, values)) for values in (mean, std))
