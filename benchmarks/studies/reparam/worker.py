"""Do one job of :mod:`cnn_export.benchmarks.studies.reparam.jobs`, and print one line of JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def counts(network: str) -> Any:
    """Count what each form of a network holds."""
    from cnn_export.benchmarks.studies.reparam.networks import counts as counted

    return {form: each and dataclasses.asdict(each) for form, each in counted(network).items()}


def stage(network: str) -> Any:
    """Measure the stage on a network."""
    from cnn_export.benchmarks.studies.reparam.stage import stage_of_network

    return dataclasses.asdict(stage_of_network(network))


def chains(*sizes: str) -> Any:
    """Measure the stage on chains."""
    from cnn_export.benchmarks.studies.reparam.stage import stage_of_chains

    return [dataclasses.asdict(each) for each in stage_of_chains([int(size) for size in sizes])]


def artifacts(network: str, folder: str) -> Any:
    """Export each form of a network."""
    from cnn_export.benchmarks.studies.reparam.artifacts import write

    return [str(path) for path in write(network, Path(folder))]


def timing(rounds: str, min_time_s: str, *paths: str) -> Any:
    """Time artifacts interleaved."""
    from cnn_export.benchmarks.studies.reparam.artifacts import interleave

    return interleave([Path(path) for path in paths], int(rounds), float(min_time_s))


JOBS: dict[str, Callable[..., Any]] = {
    "counts": counts,
    "stage": stage,
    "chains": chains,
    "artifacts": artifacts,
    "time": timing,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job that the first argument names."""
    job, *arguments = sys.argv[1:] if argv is None else argv
    sys.stdout.write("\n" + json.dumps(JOBS[job](*arguments)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
