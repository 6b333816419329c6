"""The files that a run measures: each with its manifest, its runtime, and what it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from cnn_export.artifact_files.formats import require_readers
from cnn_export.artifact_files.inspection import Inspection
from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files
from cnn_export.benchmarks.results import record_types
from cnn_export.benchmarks.runtimes.runtime_registry import runtime_of
from cnn_export.errors import UsageError
from cnn_export.manifest.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class RunArtifact:
    """One artifact of a run, looked at before the first process starts."""

    path: Path
    name: str
    manifest: Manifest
    found: Inspection
    runtime: str

    @property
    def sha256(self) -> str:
        """Of the file, as its manifest records it and as it was found."""
        return self.manifest.artifact_sha256

    def record(self, run_id: str) -> record_types.Artifact:
        """Return what a results file says of it: figures from the file, origin from both."""
        return artifact_record(self.manifest, self.found, self.name, run_id)


def read_artifacts(
    paths: Sequence[Path],
    require_runtimes: Callable[[Sequence[str]], None],
    *,
    same_twice: bool = False,
) -> list[RunArtifact]:
    """Check every artifact: manifest, hash, runtime there. No process starts.

    ``require_runtimes`` is the device's; ``same_twice`` allows the same content more than once (a
    model against itself).

    Raises:
        InputRefused: artifact or manifest is missing or damaged, they contradict each other, or no
            runtime is for it.
        ParityError: the file is not the one its manifest was written for.
        TargetUnavailable: the device has not got a runtime.
        UsageError: the same content is given twice.
    """
    names = _names(paths)
    runtimes = [runtime_of(path).package for path in paths]
    require_runtimes(list(dict.fromkeys(runtimes)))
    require_readers(path.suffix for path in paths)
    found = proven_files(paths)
    artifacts = [
        RunArtifact(path, name, manifest, inspection, runtime)
        for path, name, (manifest, inspection), runtime in zip(
            paths, names, found, runtimes, strict=True
        )
    ]
    if not same_twice:
        _require_distinct(artifacts)
    return artifacts


def _names(paths: Sequence[Path]) -> list[str]:
    """Return file names; where two are alike, the paths as given."""
    names = [path.name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _require_distinct(artifacts: Sequence[RunArtifact]) -> None:
    seen: dict[str, RunArtifact] = {}
    for artifact in artifacts:
        if (first := seen.setdefault(artifact.sha256, artifact)) is not artifact:
            raise UsageError(
                f"{first.path} and {artifact.path} hold the same bytes; give each once"
                " (--compare takes a file against itself)"
            )
