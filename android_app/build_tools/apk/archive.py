"""Writes the APK's zip: the same bytes from the same entries."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o100644 << 16


def write_archive(entries: Mapping[str, bytes], target: Path) -> None:
    """Write entries in order of their names, all stored.

    Libraries must be stored to be mapped from the APK; the rest is small, and a stored byte does
    not depend on the machine's compressor.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = _READABLE
            archive.writestr(info, entries[name])


def read_archive(source: Path) -> dict[str, bytes]:
    """Return all entries by name."""
    with zipfile.ZipFile(source) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
