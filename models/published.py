"""What a paper or repository states about a network: rows of the list of models. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Published:
    """One published variant of a family, with the figures its authors state.

    ``arguments`` are the builder's. ``macs_m`` are millions of multiply-accumulates of one image
    of ``input_size`` (channels, height, width), ``params_m`` millions of parameters. A figure
    that nobody published is None. ``source`` says where they stand; ``note`` why a measured
    figure differs by more than 1 %.
    """

    name: str
    arguments: Mapping[str, Any]
    source: str
    params_m: float | None = None
    macs_m: float | None = None
    top1_percent: float | None = None
    input_size: tuple[int, int, int] = (3, 224, 224)
    note: str = ""

    @property
    def counted(self) -> bool:
        """Whether anybody states how large it is."""
        return self.params_m is not None or self.macs_m is not None
