"""The manifest of an artifact, once the artifact is known to be the file that it speaks of."""

from __future__ import annotations

from pathlib import Path

from cnn_export.errors import InputRefused, ParityError
from cnn_export.manifest.manifest import Manifest, manifest_path, read_manifest
from cnn_export.untrusted import regular_file
from cnn_export.untrusted.artifact_digest import artifact_bytes, artifact_digest


def proven_manifest(path: Path) -> Manifest:
    """Return the manifest beside ``path``, checked against the artifact's name, size and bytes.

    Raises:
        InputRefused: artifact or manifest is missing, no regular file, or not to be read; or the
            manifest contradicts itself or is of another name.
        ParityError: the file is not the one its manifest was written for.
    """
    if regular_file.kind_at(path) is None:
        raise InputRefused(f"there is no artifact {path}; export it again")
    manifest = read_manifest(manifest_path(path))
    _require_same_name(path, manifest)
    _require_same_content(path, manifest)
    return manifest


def _require_same_name(path: Path, manifest: Manifest) -> None:
    if path.name != manifest.artifact:
        raise InputRefused(
            f"{manifest_path(path)} is the manifest of {manifest.artifact!r}, not of"
            f" {path.name!r}; give both files their own names again"
        )


def _require_same_content(path: Path, manifest: Manifest) -> None:
    size = artifact_bytes(path)  # first: of another size nothing needs to be read
    if size != manifest.artifact_bytes:
        raise _another_file(path, f"{size:,} bytes, recorded {manifest.artifact_bytes:,}")
    digest, _ = artifact_digest(path)
    if digest != manifest.artifact_sha256:
        found, recorded = digest[:12], manifest.artifact_sha256[:12]
        raise _another_file(path, f"SHA-256 {found}…, recorded {recorded}…")


def _another_file(path: Path, difference: str) -> ParityError:
    return ParityError(
        f"{path} is not the file its manifest was written for ({difference}); export it again"
    )
