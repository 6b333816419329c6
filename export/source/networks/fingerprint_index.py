"""Which networks of a library have these tensors: an index by fingerprints, without the library.

Names are hashed first, then names with shapes. Class count and input channels are left out of the
latter, so that a network trained for other classes is found too.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cnn_export.models.registry import Shapes

MERGED = "+"
"""Behind a network's name in an index: with its branches merged."""
_COUNTER = "num_batches_tracked"
_BYTES = 6
_FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Ends:
    """Layers whose shapes depend on the use: ``heads`` on the class count, ``stems`` on the input.

    They are names of layers, without ``.weight``.
    """

    heads: tuple[str, ...]
    stems: tuple[str, ...]


Groups = dict[str, list[tuple[Ends, dict[str, list[str]]]]]
"""By the hash of names: the ends of such networks, and their names by the hash of shapes."""


@functools.cache
def indexed(library: str) -> Groups:
    """Read the index of ``timm`` or ``torchvision``."""
    read = json.loads((_FOLDER / f"{library}_index.json").read_text("utf-8"))
    return {
        names: [(Ends(tuple(heads), tuple(stems)), by_shape) for heads, stems, by_shape in groups]
        for names, groups in read["groups"].items()
    }


def networks_with(library: str, shapes: Shapes) -> tuple[str, ...]:
    """Return the library's networks that have these tensors, but for class count and channels."""
    groups = indexed(library).get(names_hash(shapes), [])
    found = (by_shape.get(shapes_hash(shapes, ends), []) for ends, by_shape in groups)
    return tuple(dict.fromkeys(name.removesuffix(MERGED) for names in found for name in names))


def names_hash(shapes: Shapes) -> str:
    """Return a hash of the tensor names, batch norm's counters aside."""
    return _hash(sorted(name for name in shapes if not _is_counter(name)))


def shapes_hash(shapes: Shapes, ends: Ends) -> str:
    """Return a hash of names and shapes, without class count and input channels."""
    return _hash(_masked(shapes, ends))


def written(library: str, version: str, networks: Mapping[str, tuple[Shapes, Ends]]) -> Path:
    """Write the index of these networks and return its path."""
    groups: dict[str, dict[Ends, dict[str, list[str]]]] = {}
    for name, (shapes, ends) in sorted(networks.items()):
        by_shape = groups.setdefault(names_hash(shapes), {}).setdefault(ends, {})
        by_shape.setdefault(shapes_hash(shapes, ends), []).append(name)
    listed = {
        names: [[ends.heads, ends.stems, by_shape] for ends, by_shape in by_ends.items()]
        for names, by_ends in sorted(groups.items())
    }
    path = _FOLDER / f"{library}_index.json"
    lines = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in listed.items()]
    head = f'{{"library":"{library} {version}","groups":{{\n'
    path.write_text(head + ",\n".join(lines) + "\n}}\n", "utf-8")
    return path


def _masked(shapes: Shapes, ends: Ends) -> Iterator[str]:
    heads = {f"{layer}.{part}" for layer in ends.heads for part in ("weight", "bias")}
    stems = {f"{layer}.weight" for layer in ends.stems}
    for name in sorted(name for name in shapes if not _is_counter(name)):
        shape = shapes[name]
        if name in heads:
            shape = shape[1:]
        elif name in stems:
            shape = (*shape[:1], *shape[2:])
        yield f"{name} {','.join(map(str, shape))}"


def _hash(lines: Iterable[str]) -> str:
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=_BYTES).hexdigest()


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] == _COUNTER
