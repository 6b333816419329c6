"""The indices by which files of timm and torchvision are recognised: build every network, hash it.

    python -m cnn_export.benchmarks.studies.recognition.network_indices [timm|torchvision]

Networks are built without memory for weights; timm's 1,300 take ten minutes of CPU.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Any

import timm
from torch import nn
from torchvision import models

from cnn_export.models.registry import Shapes
from cnn_export.source.contents.matching import shapes_of, state_of, tensors_of
from cnn_export.source.networks.building import build_empty
from cnn_export.source.networks.fingerprint_index import MERGED, Ends, written
from cnn_export.source.networks.timm_models import create
from cnn_export.source.networks.torchvision_families import FAMILIES

Entry = tuple[str, tuple[Shapes, Ends]]
_SPEC_KEYS = ("classifier", "first_conv")


def timm_entries(names: list[str]) -> Iterator[Entry]:
    """Yield every network, and what it is with its branches merged where that has other tensors."""
    for name in names:
        with contextlib.suppress(Exception):  # some need packages that are not here
            plain = _built(functools.partial(create, name))
            yield name, (plain, _ends(timm.get_pretrained_cfg(name)))
            if any(".conv_kxk." in tensor for tensor in plain):
                merged = _built(functools.partial(create, name, reparameterized=True))
                if merged != plain:
                    yield name + MERGED, (merged, _ends(timm.get_pretrained_cfg(name)))


def torchvision_entries() -> Iterator[Entry]:
    """Yield the networks of fixed width of every recognised family."""
    for family in FAMILIES:
        layer = family.head.removesuffix(".weight")
        for name in family.names:
            if name not in family.widths and not family.absent:
                yield name, (_built(models.get_model_builder(name)), Ends((layer,), ()))


def _built(build: Callable[..., nn.Module]) -> Shapes:
    return shapes_of(tensors_of(state_of(build_empty(build, {}))))


def _ends(config: Any) -> Ends:
    read: Mapping[str, Any] = config.to_dict() if config else {}
    heads, stems = (read.get(key) or () for key in _SPEC_KEYS)
    return Ends(_layers(heads), _layers(stems))


def _layers(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def main(libraries: list[str]) -> None:
    """Write the indices of these libraries."""
    warnings.simplefilter("ignore")
    entries = {
        "timm": lambda: timm_entries(timm.list_models()),
        "torchvision": torchvision_entries,
    }
    for library in libraries or list(entries):
        networks = dict(entries[library]())
        path = written(library, metadata.version(library), networks)
        size = path.stat().st_size
        sys.stdout.write(f"{path}: {len(networks)} networks, {size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
