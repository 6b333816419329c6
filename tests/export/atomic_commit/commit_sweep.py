"""Kill a commit at one moment after another: ``python commit_sweep.py FOLDER NAME SWAPS STRIDE``.

A process of its own, since a fork of one that has torch loaded costs a hundred times as much.
Prints how many moments there were, and which outcomes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from file_sets import FILE_SETS, FileSet

import cnn_export.atomic_commit
from cnn_export.atomic_commit import replacing, settle

_TRACED = (str(Path(cnn_export.atomic_commit.__file__).parent), shutil.__file__)


def killed_at(moment: int, action: Callable[[], object]) -> bool:
    """Run ``action`` in a fork that kills itself before its ``moment``-th line; whether it did.

    Every line of the commit's own modules, and of the removal of folders, is a moment.
    """
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal lines
            if not frame.f_code.co_filename.startswith(_TRACED):
                return None
            lines += event == "line"
            if lines > moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            action()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the commit failed by itself"
    return os.WIFSIGNALED(status)


def require_whole(files: FileSet, out: Path) -> set[str]:
    """Check what a set shows once it is settled, and that nothing else is there."""
    shown = files.shown(out)
    assert shown in ({"new"}, {"old" if files.replaces else "absent"}), shown
    names = {path.name for path in out.iterdir()}
    assert names <= {"notes.txt", *files.names}, names
    assert (out / "notes.txt").read_bytes() == b"precious"
    return shown


def sweep(files: FileSet, out: Path, stride: int, *, swaps: bool) -> tuple[int, set[str]]:
    """Kill a commit, and what settles it, at their moments; return how many, and the outcomes."""
    outcomes: set[str] = set()
    allowed = {"old", "new"} if files.replaces else {"absent", "new"}
    if not swaps:  # then there is one moment between the two renames of a folder
        allowed.add("absent")
    moment, count, killed = 0, 0, True
    while killed:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        files.put_earlier(out)
        killed = killed_at(moment, lambda: files.commit(out))
        assert files.shown(out) <= allowed, moment
        count += killed_at(moment % 61, lambda: settle(out))
        settle(out)
        outcomes |= require_whole(files, out)
        moment, count = moment + stride, count + killed
    return count, outcomes


def main(folder: str, name: str, swaps: str, stride: str) -> None:
    """Sweep one set of files and print the result."""
    os.fsync = lambda _: None  # a kill loses nothing that the kernel has: only time is saved
    if swaps == "no":
        replacing.exchange = lambda *_: False
    count, outcomes = sweep(FILE_SETS[name], Path(folder), int(stride), swaps=swaps == "yes")
    sys.stdout.write(json.dumps({"moments": count, "outcomes": sorted(outcomes)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
