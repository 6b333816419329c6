"""ONNX Runtime, with what it would tell its vendor switched off."""

from __future__ import annotations

import importlib
import os
import platform
from typing import Any

_SWITCH = "ORT_DISABLE_TELEMETRY"


def takes_signed_here() -> bool:
    """Whether this machine's ONNX Runtime computes with signed activations in integers."""
    return platform.machine().lower() in ("aarch64", "arm64")


def import_onnxruntime() -> Any:
    """Import ONNX Runtime and return it.

    On import, version 1.32 makes a device id in the user's cache folder and starts a thread that
    reports to its vendor. Models are the user's business, and a thread of its own is no part of
    what a benchmark shall time. A value that the user has set is kept.

    Raises:
        ImportError: it is not installed.
    """
    os.environ.setdefault(_SWITCH, "1")
    return importlib.import_module("onnxruntime")
