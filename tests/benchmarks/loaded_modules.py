"""Which modules a statement brings into a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys


def modules_after(statement: str) -> set[str]:
    """Run ``statement`` in a new process; return the names of all modules loaded by its end."""
    script = f"{statement}\nimport sys; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return set(done.stderr.decode().split())
