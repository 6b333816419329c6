"""One process, one artifact, one runtime: check it against its manifest, time it, report.

Run as ``python -m cnn_export.benchmarks.worker ARTIFACT --min-time-s 0.5 --threads 1``; what it
writes is described in :mod:`cnn_export.benchmarks.protocol`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cnn_export.benchmarks.probe import probe_inputs, require_probe_outputs
from cnn_export.benchmarks.protocol import End, Failure, Hello, Message, Sample
from cnn_export.benchmarks.runtimes import Model, Runtime, runtime_of, runtime_version
from cnn_export.benchmarks.timing_loop import timed_inferences
from cnn_export.errors import ExportError, InputRefused, ParityError
from cnn_export.manifest import Manifest, artifact_digest, manifest_path, read_manifest

_MESSAGE_LENGTH = 1000

Send = Callable[[Message], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job; every failure is reported as a message and as the exit code."""
    parser = argparse.ArgumentParser(prog="cnn_export.benchmarks.worker")
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--min-time-s", type=float, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    try:
        run(options.artifact, options.min_time_s, options.threads, _send)
    except ExportError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # the parent must hear of every end
        return _fail(f"internal error: {type(error).__name__}: {error}", ExportError.exit_code)
    return 0


def run(path: Path, min_time_s: float, threads: int, send: Send) -> None:
    """Load, check and time one artifact; samples are sent when the last one is taken.

    Raises:
        InputRefused: artifact or manifest is missing, or the runtime cannot load it.
        ParityError: the file is not the proven one, or does not compute what was proven.
        TargetUnavailable: the runtime is not installed.
    """
    runtime = runtime_of(path)
    version = runtime_version(runtime)
    manifest = read_manifest(manifest_path(path))
    require_same_file(path, manifest)
    model = _loaded(runtime, path, manifest, threads)
    model.infer()
    require_probe_outputs(manifest, model.outputs())
    send(Hello(runtime=runtime.package, version=version, threads=threads))
    samples = timed_inferences(model.infer, min_time_s)
    for ns in samples:
        send(Sample(ns=ns))
    send(End(count=len(samples)))


def require_same_file(path: Path, manifest: Manifest) -> None:
    """Check that ``path`` holds the bytes that the manifest speaks of.

    Raises:
        InputRefused: the artifact cannot be read.
        ParityError: its SHA-256 is another one.
    """
    if not path.is_file():
        raise InputRefused(f"there is no artifact {path}; export it again")
    try:
        digest, _ = artifact_digest(path)
    except OSError as error:
        raise InputRefused(f"cannot read {path}: {error.strerror}") from error
    if digest != manifest.artifact_sha256:
        raise ParityError(
            f"{path} is not the file its manifest was written for (SHA-256 {digest[:12]}…, "
            f"recorded {manifest.artifact_sha256[:12]}…); export it again"
        )


def _loaded(runtime: Runtime, path: Path, manifest: Manifest, threads: int) -> Model:
    names = [output.name for output in manifest.outputs]
    try:
        return runtime.load(path, probe_inputs(manifest), names, threads)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputRefused(f"{runtime.package} cannot load {path}: {reason}") from error


def _send(message: Message) -> None:
    sys.stdout.write(message.to_line())
    if not isinstance(message, Sample):
        sys.stdout.flush()


def _fail(message: str, exit_code: int) -> int:
    text = " ".join(message.split())[:_MESSAGE_LENGTH]
    _send(Failure(exit_code=exit_code, message=text))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
