"""``python -m build_tools app-jvm``: the targets of the Makefile."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence

from build_tools.errors import BuildError

_COMMANDS = {
    "app": ("build_tools.apk.build", "build_apk"),
    "app-tools": ("build_tools.tools", "install_tools"),
    "app-jvm": ("build_tools.jvm.build", "build_jvm"),
}


def main(argv: Sequence[str]) -> int:
    """Build one target; a failure is one line and exit code 1."""
    if len(argv) != 1 or argv[0] not in _COMMANDS:
        sys.stderr.write(f"usage: python -m build_tools {'|'.join(_COMMANDS)}\n")
        return 2
    module, function = _COMMANDS[argv[0]]
    build: Callable[[], object] = getattr(importlib.import_module(module), function)
    try:
        build()
    except BuildError as error:
        sys.stderr.write(f"{argv[0]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
