"""The true class of each sample, from a file or from the folders that images are in."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from cnn_export.errors import InputRefused
from cnn_export.untrusted.regular_file import FOLDER, kind_at, read_bytes

_FILE_BYTES_MAX = 64 * 2**20
_NAMED = 5
_HEADERS = ({"name", "file", "filename", "image", "path", "sample"}, {"class", "label"})


def read_labels(path: Path, names: Sequence[str], classes: int) -> tuple[int, ...]:
    """Return the class, 0 to ``classes`` − 1, of each named sample, in their order.

    A ``.csv`` file has lines ``name,class``; a ``.json`` file an object of them. Names are paths
    within the image folder, or row numbers of an archive. Classes are numbers, or names whose
    alphabetical order is the network's, if there are as many as the network has classes. What the
    file says of other samples is not looked at. A folder is read by :func:`folder_labels`.

    Raises:
        InputRefused: unreadable, a sample has no class, or one that is not the network's; names it.
    """
    if kind_at(path) == FOLDER:
        return folder_labels(path, names, classes)
    stated = _stated(path)
    missing = [name for name in names if _key(name) not in stated]
    if missing:
        raise InputRefused(
            f"{path} has no class for {len(missing)} of {len(names)} samples: {_listed(missing)}"
        )
    indices = _indices(path, stated.values(), classes)
    return tuple(indices[stated[_key(name)]] for name in names)


def folder_labels(folder: Path, names: Sequence[str], classes: int) -> tuple[int, ...]:
    """Return each image's class by its first folder: ``dog/rex.jpg``, or ``7/a.png``.

    Folders are sorted by name, as torchvision's ``ImageFolder`` does; numbers are indices.

    Raises:
        InputRefused: an image is in no folder, or the folders are not the network's classes.
    """
    loose = [name for name in names if "/" not in name]
    if loose:
        raise InputRefused(
            f"{folder}: {len(loose)} of {len(names)} images are in no class's folder:"
            f" {_listed(loose)}"
        )
    try:
        held = [each.name for each in folder.iterdir() if each.is_dir()]
    except OSError as error:
        raise InputRefused(f"{folder} cannot be listed: {error.strerror}") from error
    indices = _indices(folder, [name for name in held if not name.startswith(".")], classes)
    places = [name.partition("/")[0] for name in names]
    if missing := [place for place in dict.fromkeys(places) if place not in indices]:
        raise InputRefused(f"{folder} has no folder of the class {_listed(missing)}")
    return tuple(indices[place] for place in places)


def _stated(path: Path) -> Mapping[str, str]:
    """Return what the file says, all of it as text."""
    content = read_bytes(path, _FILE_BYTES_MAX)
    try:
        text = content.decode("utf-8-sig")
        pairs = _json_pairs(text) if path.suffix.lower() == ".json" else _csv_pairs(text)
    except (ValueError, RecursionError, csv.Error) as error:
        raise InputRefused(
            f"the labels {path} cannot be read: {error}; give lines NAME,CLASS or a JSON object"
        ) from error
    stated: dict[str, str] = {}
    for given, label in pairs:
        name = _key(given)
        if stated.setdefault(name, label) != label:
            raise InputRefused(f"{path} gives {name} two classes: {stated[name]} and {label}")
    return stated


def _json_pairs(text: str) -> list[tuple[str, str]]:
    pairs = json.loads(text, object_pairs_hook=list)
    if not isinstance(pairs, list) or not all(
        isinstance(pair, tuple) and isinstance(pair[1], int | str) for pair in pairs
    ):
        raise ValueError("it is not an object of names and classes")
    return [(name, str(label)) for name, label in cast(list[tuple[str, Any]], pairs)]


def _csv_pairs(text: str) -> list[tuple[str, str]]:
    rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    if rows and _is_header(rows[0]):
        del rows[0]
    for number, row in enumerate(rows, 1):
        if len(row) != len(_HEADERS):
            raise ValueError(f"row {number} has {len(row)} columns")
    return [(name.strip(), label.strip()) for name, label in rows]


def _is_header(row: Sequence[str]) -> bool:
    return len(row) == len(_HEADERS) and all(
        each.strip().lower() in known for each, known in zip(row, _HEADERS, strict=True)
    )


def _indices(place: Path, labels: Iterable[str], classes: int) -> dict[str, int]:
    """Return the class index of each text."""
    different = sorted(set(labels))
    if all(label.isascii() and label.isdecimal() for label in different):
        indices = {label: int(label) for label in different}
        wrong = [label for label, index in indices.items() if index >= classes]
        if wrong:
            raise InputRefused(
                f"{place}: class {_listed(wrong)}: the network has classes 0 to {classes - 1}"
            )
        return indices
    if len(different) != classes:
        raise InputRefused(
            f"{place} names {len(different)} classes ({_listed(different)}), the network has"
            f" {classes}; give class numbers, 0 to {classes - 1}"
        )
    return {label: index for index, label in enumerate(different)}


def _key(name: str) -> str:
    """Return the name by which a file of labels calls a sample."""
    return name.removeprefix("sample ")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
