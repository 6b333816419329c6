"""Text that a phone sent, made safe to show and to keep. Pure.

A phone's model name, serial or error message is anyone's text: it could hold terminal commands,
or have no end.
"""

from __future__ import annotations

import re

from cnn_export.command_line.terminal import printable

TEXT_MAX = 200
"""Characters of one fact or message; a longer one ends in ``…``."""

# ECMA-48: CSI (ESC [ parameters final), OSC and its like (ESC ] … until BEL or ESC \), short ones.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|\x1b[]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)


def clean(text: str | bytes, limit: int = TEXT_MAX) -> str:
    """Return one line without terminal commands, at most ``limit`` characters.

    Whole escape sequences are dropped, other control characters are spelled out.
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    # Whatever is cut here could not be shown anyway; the factor leaves room for what is dropped.
    line = printable(" ".join(_ESCAPES.sub("", text[: 64 * limit]).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
