"""Packages that an extra brings: their versions, their folders, and the line that installs them."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

from cnn_export.errors import TargetUnavailable

DISTRIBUTION = "cnn-export"
_EVERYTHING = "all"
_IMPORTED_AS = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
"""Modules that are called otherwise than the package that holds them."""


def require(extra: str, packages: Sequence[str]) -> dict[str, str]:
    """Return each package's version without importing it.

    Raises:
        TargetUnavailable: names every missing package, and the line that installs them.
    """
    return require_all({extra: packages})


def require_all(wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the versions of the packages of several extras.

    Raises:
        TargetUnavailable: names every missing package of all of them, and one line that installs.
    """
    versions: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    for extra, packages in wanted.items():
        for package in packages:
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                missing.setdefault(extra, []).append(package)
    if missing:
        raise TargetUnavailable(_not_installed(missing))
    return versions


def missing_module(module: str) -> str:
    """Return what is said of a top-level module that cannot be imported."""
    package = _IMPORTED_AS.get(module, module.replace("_", "-"))
    return _not_installed({_extra_of(package): [package]})


def install_line(extras: Iterable[str]) -> str:
    """Return the command that adds extras to this installation, wherever it came from.

    From an index it is the name; of a checkout or a wheel (PEP 610) it is its path.
    """
    added = f"[{','.join(dict.fromkeys(extras))}]"
    origin = _origin()
    path = unquote(urlparse(str(origin.get("url", ""))).path) if origin else ""
    if not path or not str(origin["url"]).startswith("file:"):
        return f"pip install '{DISTRIBUTION}{added}'"
    folder = origin.get("dir_info")
    editable = "-e " if isinstance(folder, dict) and folder.get("editable") else ""
    return f"pip install {editable}{shlex.quote(path + added)}"


def package_folder(package: str) -> Path:
    """Return where an installed package keeps its data, without importing it (and torch).

    Raises:
        TargetUnavailable: it has no folder of its own here.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        return Path(folder)
    raise TargetUnavailable(f"{package} is installed in no readable folder; install it again")


def _not_installed(missing: Mapping[str, Sequence[str]]) -> str:
    *others, last = dict.fromkeys(name for names in missing.values() for name in names)
    said = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    return f"{said} not installed; run: {install_line(missing)}"


def _origin() -> Mapping[str, object]:
    """Return what the installer recorded of where this came from (PEP 610): of an index nothing."""
    try:
        text = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        recorded = json.loads(text or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return {}
    return recorded if isinstance(recorded, dict) else {}


def _extra_of(package: str) -> str:
    """Return the first extra that names the package itself, in the order of pyproject.toml."""
    return next((extra for extra, names in _extras().items() if package in names), _EVERYTHING)


@functools.cache
def _extras() -> dict[str, tuple[str, ...]]:
    """Return the packages of every extra, as this distribution's metadata has them."""
    found: dict[str, tuple[str, ...]] = {}
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a tree that is on the path and not installed
        requirements = []
    for line in requirements:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"extra == [\"']([\w-]+)[\"']", line)
        if name and extra:
            found[extra[1]] = (*found.get(extra[1], ()), name[0].lower().replace("_", "-"))
    return found
