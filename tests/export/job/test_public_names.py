"""What ``import cnn_export`` offers, without importing torch."""

from __future__ import annotations

import subprocess
import sys

import cnn_export
from cnn_export import errors


def test_names_are_listed_and_there() -> None:
    assert dir(cnn_export) == sorted(cnn_export.__all__)
    for name in cnn_export.__all__:
        assert getattr(cnn_export, name) is not None
    assert cnn_export.ParityError is errors.ParityError


def test_errors_come_without_torch() -> None:
    code = (
        "import sys, cnn_export; dir(cnn_export); cnn_export.UsageError;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
