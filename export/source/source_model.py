"""The network to export with all that is known of it; nothing later looks anywhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction

from torch import Tensor, nn

from cnn_export.program.normalization import Normalization
from cnn_export.program.program import Program, capture
from cnn_export.source.pixels import FromPixels, caller_of


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a network comes from: file name (no folder), content hash, what was recognised in it.

    ``container`` is the key that led to the tensors, empty for a bare state_dict, ``module`` for a
    module in memory, which has no file and no hash.
    """

    file: str
    sha256: str | None
    model: str
    arguments: Mapping[str, str]
    container: str


@dataclasses.dataclass(frozen=True)
class SourceModel:
    """The original network, which every artifact is compared with; ready to be traced.

    ``examples`` are its inputs. ``normalization`` is what a caller has to do,
    ``normalization_inside`` what an artifact does itself to raw pixels. ``shortcut_multiplier`` is
    the part of the channels that its shortcuts add, as it was trained, and None where the network
    itself gives something that is none; ``approximated_multiplier`` is what the user wants
    instead. ``input_name`` is what its one input is called, where that is not the module's own.
    """

    module: nn.Module
    origin: Origin
    examples: tuple[Tensor, ...]
    dynamic_batch: bool = False
    input_name: str | None = None
    normalization: Normalization | None = None
    normalization_inside: Normalization | None = None
    takes_pixels: bool = False
    shortcut_multiplier: Fraction | None = Fraction(1)
    approximated_multiplier: Fraction | None = None
    notes: tuple[str, ...] = ()

    @property
    def as_called(self) -> nn.Module:
        """The network after what its callers do to the pixels that an artifact takes."""
        inside = self.normalization_inside
        return self.module if inside is None else FromPixels(self.module, caller_of(inside))


def trace(model: SourceModel) -> Program:
    """Return the network's graph, of normalized images; an input keeps the network's own name.

    Raises:
        InputRefused: as :func:`~cnn_export.program.program.capture`.
    """
    program = capture(model.module, model.examples, dynamic_batch=model.dynamic_batch)
    name = model.input_name
    if name is None or name in [spec.name for spec in program.outputs]:
        return program
    image = dataclasses.replace(program.inputs[0], name=name)
    return dataclasses.replace(program, inputs=(image,))
