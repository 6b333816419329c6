"""Artifacts that a gate judges without running them: from the file and its manifest."""

from __future__ import annotations

from pathlib import Path

from cnn_export.benchmarks.candidates import Candidate, candidate_of_file
from cnn_export.benchmarks.cost import read_cost
from cnn_export.benchmarks.proven_artifact import proven_manifest
from cnn_export.benchmarks.results import Artifact

_NO_RUN = "none"


def read_candidate(path: Path) -> Candidate:
    """Return what is known of the artifact at ``path``: size, MACs, bytes moved, partitions.

    MACs and bytes moved are counted in the file itself, the rest is the manifest's.

    Raises:
        InputRefused: artifact or manifest is missing or damaged.
        ParityError: the file is not the one its manifest was written for.
        TargetUnavailable: what reads the format is not installed.
    """
    manifest = proven_manifest(path)
    cost = read_cost(path)
    artifact = Artifact.model_validate(
        {
            "run_id": _NO_RUN,
            "sha256": manifest.artifact_sha256,
            "name": path.name,
            "model": manifest.source.model,
            "target": manifest.target,
            "precision": manifest.precision,
            "file_bytes": manifest.artifact_bytes,
            "macs": cost.macs,
            "mac_bytes": cost.mac_bytes,
            "delegate": manifest.partitions.delegate,
            "partitions": manifest.partitions.partitions,
            "ops_outside": sum(outside.count for outside in manifest.partitions.outside),
        }
    )
    return candidate_of_file(artifact)
