"""From a saved object to the network without a file between: for tests of many objects."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import nn

from cnn_export.source.networks.model_names import parse_source
from cnn_export.source.recognition.multiplier import Hints
from cnn_export.source.recognition.resolve import network_for
from cnn_export.source.weight_sets.containers import open_container

State = dict[str, torch.Tensor]


class Tiny(nn.Module):
    """Two layers with batch norm, quick to build."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.head = nn.Conv2d(5, 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.stem(x)))


TINY = f"{__name__}:Tiny"


def tiny_state(seed: int) -> State:
    """Return values that no other seed has."""
    torch.manual_seed(seed)
    state = Tiny().state_dict()
    return {k: torch.rand_like(v) + seed if v.is_floating_point() else v for k, v in state.items()}


@dataclasses.dataclass(frozen=True)
class Loaded:
    name: str
    state: State
    container: str
    notes: str
    module: nn.Module


def load_tree(tree: Any, model: str | None = TINY, key: str | None = None, **given: Any) -> Loaded:
    """Load what :func:`torch.save` would have saved."""
    contents = open_container(tree, key)
    source = None if model is None else parse_source(model)
    module, candidate, notes = network_for(
        contents.tensors, contents.entries, contents.metadata, source, given, Hints()
    )
    notes = (*contents.notes, *notes)
    return Loaded(
        str(candidate), dict(module.state_dict()), contents.container, " | ".join(notes), module
    )


def same(one: State, other: State) -> bool:
    """Tell whether two states hold the same values under the same names, counters aside."""
    names = {k for k in {*one, *other} if "num_batches" not in k}
    return all(k in one and k in other and torch.equal(one[k], other[k]) for k in names)
