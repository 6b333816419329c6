"""Start the profiling worker and read its document; the runtime never loads in this process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pydantic import ValidationError

from cnn_export.benchmarks.devices.host.worker_process import WorkerBroken, ending
from cnn_export.benchmarks.profiles.document import Profile
from cnn_export.benchmarks.results.protocol import Failure
from cnn_export.benchmarks.results.session import IncompleteRun, complete_session
from cnn_export.untrusted.parent_death import PARENT

_TIMEOUT_S = 900
_WORKER = "cnn_export.benchmarks.profiles.worker"


def profiled(
    artifact: Path, threads: int, inferences: int, timeout_s: float = _TIMEOUT_S
) -> Profile:
    """Return the profile that a fresh process made.

    Raises:
        WorkerBroken: it crashed, hung, or left no document.
        ExportError: the subclass that the worker's own failure stands for.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "profile.json"
        command = [sys.executable, "-m", _WORKER, str(artifact), "--out", str(out)]
        command += ["--threads", str(threads), "--inferences", str(inferences)]
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout_s,
                check=False, env=os.environ | {PARENT: str(os.getpid())},
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise WorkerBroken(
                f"profiling {artifact} took more than {timeout_s:.0f} s; use fewer --inferences"
            ) from error
        if not out.exists():
            raise WorkerBroken(f"the process that profiled {artifact} {ending(done.returncode)}")
        return _document(out.read_bytes(), artifact)


def _document(text: bytes, artifact: Path) -> Profile:
    if b'"cnn_bench":"failure"' in text:
        # A session that holds a failure raises the error that the failure stands for.
        complete_session([Failure.model_validate_json(text)])
    try:
        return Profile.model_validate_json(text)
    except ValidationError as error:
        raise IncompleteRun(f"the process that profiled {artifact} left no profile") from error
