"""The vendor's package, imported once and without its chatter.

coremltools logs on import, logs while converting and draws progress bars on stderr; the tool's
own stderr belongs to the tool.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import warnings
from collections.abc import Generator, Iterable
from typing import Any

from cnn_export.command_line.packages import require

_PROGRESS_BARS = (
    ("coremltools.converters.mil.frontend.torch.ops", "_tqdm"),
    ("coremltools.converters.mil.mil.passes.pass_pipeline", "tqdm"),
)


@functools.cache
def coremltools() -> Any:
    """Return the ``coremltools`` module, imported quietly and with its progress bars off.

    Raises:
        TargetUnavailable: it is not installed; holds the install line.
    """
    require("coreml", ["coremltools"])
    with quiet():
        module = importlib.import_module("coremltools")
        for name, bar in _PROGRESS_BARS:
            setattr(importlib.import_module(name), bar, _without_progress)
    return module


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Silence log records and warnings for the duration; what fails still raises."""
    disabled_before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled_before)


def _without_progress(iterable: Iterable[Any], **_: object) -> Iterable[Any]:
    return iterable
