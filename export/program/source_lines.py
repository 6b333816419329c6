"""The line of a network that an error, or a node of its graph, comes from."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path, PurePath

from torch import fx

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_NOT_THE_NETWORK = (
    "<",
    str(Path(__file__).parent),
    *(sysconfig.get_path(kind) for kind in _INSTALLED),
)
"""How the file names of generated code, this package and installed packages begin."""

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARY = "/torch/"


def error_line(error: BaseException) -> str | None:
    """Return ``file.py:LINE`` of the innermost frame that is the user's own, if there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_NETWORK)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def source_line(node: fx.Node) -> str | None:
    """Return ``file.py:LINE`` of the user's innermost frame behind a node, where known."""
    trace = node.meta.get("stack_trace")
    frames = _FRAME.findall(trace) if isinstance(trace, str) else []
    own = [frame for frame in frames if _LIBRARY not in PurePath(frame[0]).as_posix()]
    if not own:
        return None
    path, line = own[-1]
    return f"{path}:{line}"
