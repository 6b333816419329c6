"""What an export may replace: an earlier one, never somebody's folder."""

from __future__ import annotations

from pathlib import Path

from cnn_export.errors import DestinationError

_PACKAGE_INDEX = "Manifest.json"


def require_replaceable(path: Path, *, is_package: bool) -> None:
    """Refuse to replace a folder by a file, a file by a folder, or a folder of other content.

    Raises:
        DestinationError: names the path and what is there.
        OSError: it cannot be looked at.
    """
    if not path.exists() or (not is_package and path.is_file()):
        return
    if is_package and (path / _PACKAGE_INDEX).is_file():
        return
    kind = "a folder" if path.is_dir() else "a file" if path.is_file() else "no regular file"
    raise DestinationError(
        f"cannot replace {path}: it is {kind}, not an earlier export; move it or give another -o"
    )
