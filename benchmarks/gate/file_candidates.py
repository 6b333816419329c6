"""Artifacts that a gate judges without running them: from the file and its manifest."""

from __future__ import annotations

from pathlib import Path

from cnn_export.benchmarks.artifacts.proven_file import artifact_record, proven_files
from cnn_export.benchmarks.gate.candidates import Candidate, candidate_of_file

_NO_RUN = "0" * 16


def read_candidate(path: Path) -> Candidate:
    """Return what is known of the artifact at ``path``: size, MACs, bytes moved, partitions.

    What the file itself can tell is the file's: a manifest that says otherwise is refused.

    Raises:
        InputRefused: artifact or manifest is missing or damaged, or they contradict each other.
        ParityError: the file is not the one its manifest was written for.
        TargetUnavailable: what reads the format is not installed.
    """
    ((manifest, found),) = proven_files([path])
    return candidate_of_file(artifact_record(manifest, found, path.name, _NO_RUN))
