"""What is asked of a source. :func:`~cnn_export.source.load.load` alone reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnn_export.errors import UsageError
from cnn_export.program.normalization import Normalization

if TYPE_CHECKING:
    from torch import nn

    from cnn_export.source.structured_inputs import Example

MULTIPLIER_OPTION = "--identity-tensor-multiplier"


@dataclasses.dataclass(frozen=True)
class SourceRequest:
    """A checkpoint or module, and everything that decides what network it becomes.

    ``network`` is a checkpoint path or a module. ``weights_key`` leads to the tensors in the file,
    where it holds several sets of them. ``input_size`` is (height, width); ``shapes`` gives full
    shapes by input name instead, ``dtypes`` those that are not float32, and ``examples`` real
    tensors. ``batch`` of None is the dynamic
    batch. ``takes_pixels`` makes the network take raw pixels, 0 to 255, and do what normalization
    is known itself; ``normalize`` does so and states it. ``identity_tensor_multiplier`` states what
    the network was trained with, or, with ``approximate``, what it shall have instead.
    """

    network: Path | nn.Module
    model: str | None = None
    model_args: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    weights_key: str | None = None
    allow_pickle: bool = False
    input_size: tuple[int, int] | None = None
    shapes: Mapping[str, tuple[int, ...]] = dataclasses.field(
        default_factory=dict[str, tuple[int, ...]]
    )
    dtypes: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    examples: tuple[Example, ...] | None = None
    batch: int | None = 1
    normalize: Normalization | None = None
    takes_pixels: bool = False
    identity_tensor_multiplier: Fraction | None = None
    approximate: bool = False

    def __post_init__(self) -> None:
        """Refuse ``approximate`` without anything to approximate.

        Raises:
            UsageError: says what to add.
        """
        if self.approximate and self.identity_tensor_multiplier is None:
            raise UsageError(
                f"--approximate needs {MULTIPLIER_OPTION} 1/2 or another: the one to approximate"
            )

    @property
    def stem(self) -> str:
        """The artifacts' file name without ending: the checkpoint's, or the module's class."""
        if not isinstance(self.network, Path):
            return type(self.network).__name__.lower()
        name = self.network.name
        return name.removesuffix(".tar").rsplit(".", 1)[0] or name.lstrip(".")
