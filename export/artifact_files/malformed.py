"""A file that breaks off or contradicts itself, as one refusal instead of a reader's trace."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Generator

from cnn_export.errors import InputRefused

_REASON_LENGTH = 120
_BROKEN = (
    struct.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What readers of binary formats raise on sizes, offsets and numbers that make no sense."""


@contextlib.contextmanager
def refusing_malformed(what: str) -> Generator[None]:
    """Turn a reader's stumbling into a refusal.

    Raises:
        InputRefused: the block raised one of the errors that damaged bytes cause, or memory
            ran out.
    """
    try:
        yield
    except _BROKEN as error:
        text = "it ends too early" if isinstance(error, struct.error) else str(error)
        reason = " ".join(text.split())[:_REASON_LENGTH] or type(error).__name__
        raise InputRefused(f"damaged or truncated {what} ({reason}); export it again") from error
    except MemoryError as error:
        raise InputRefused(f"reading the {what} takes more memory than there is") from error


def require_bytes(name: str, held: int, needed: int) -> None:
    """Refuse a constant whose data is shorter than its shape says.

    Raises:
        InputRefused: names the constant and both sizes.
    """
    if held < needed:
        raise InputRefused(
            f"constant {name!r} holds {held} bytes, its shape needs {needed}; export it again"
        )
