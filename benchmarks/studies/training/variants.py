"""The networks that are trained, and what is varied in their training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from cnn_export.models.families.shufflenet_v2 import shufflenet_v2
from cnn_export.models.families.skipnet import skipnet
from cnn_export.models.parts.acb_convert import acb_convert
from cnn_export.models.training.digits import CLASSES
from cnn_export.models.training.trainer import Classifier


@dataclasses.dataclass(frozen=True)
class Variant:
    """A loss of :data:`~cnn_export.models.training.trainer.LOSSES`, and the convolutions' form."""

    loss: str
    asymmetric: bool = False


BASE = "cross-entropy"
VARIANTS = {
    BASE: Variant("cross-entropy"),
    "Bias Loss": Variant("bias"),
    "asymmetric blocks": Variant("cross-entropy", asymmetric=True),
}
"""Each differs from the first in one thing."""

NETWORKS: dict[str, Callable[[], Classifier]] = {
    "SkipNet 0.2": lambda: skipnet(0.2, CLASSES),
    "ShuffleNetV2 0.5": lambda: shufflenet_v2(0.5, CLASSES),
}


def asymmetric(network: Classifier) -> Classifier:
    """Return a copy with asymmetric blocks, which computes the same before it is trained.

    Raises:
        TypeError: the copy is another kind of network.
    """
    converted = acb_convert(network)
    if not isinstance(converted, Classifier):
        raise TypeError(f"{type(network).__name__} became {type(converted).__name__}")
    return converted
