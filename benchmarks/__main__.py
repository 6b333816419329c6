"""``python -m cnn_export.benchmarks``: the command ``cnn-bench``."""

from __future__ import annotations

import sys

from cnn_export.benchmarks.cli import main

if __name__ == "__main__":
    sys.exit(main())
