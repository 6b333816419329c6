"""``package.module:callable`` → the object, with the current folder importable."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

from cnn_export.errors import UsageError, nearest


@contextlib.contextmanager
def current_folder_importable() -> Generator[None]:
    """Put the current folder first on ``sys.path`` for the duration."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def import_object(text: str) -> Any:
    """Return what ``package.module:attribute`` names; ``attribute`` may be dotted.

    Raises:
        UsageError: no such module or attribute, or the module fails while it is imported.
    """
    module_name, _, attribute = text.partition(":")
    value = _import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(value, part):
            where = getattr(value, "__name__", module_name)
            raise UsageError(f"{where} has no attribute {part!r}.{nearest(part, dir(value))}")
        value = getattr(value, part)
    return value


def _import_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(
                f"the Python module {error.name!r} is not found; run where it can be imported"
                " (the current folder counts) or install it"
            ) from None
        raise UsageError(
            f"importing {name} fails: it needs the module {error.name!r}; install that first"
        ) from error
    except KeyboardInterrupt:
        raise
    # A script parses its arguments and exits on import; that is no reason to exit here.
    except BaseException as error:
        raise UsageError(
            f"importing {name} fails: {type(error).__name__}: {error}; repair the module"
        ) from error
