"""The one sentence about a file that is not what was saved."""

from __future__ import annotations

from cnn_export.errors import CheckpointError


def damaged(reason: str) -> CheckpointError:
    """Return the refusal, to be put behind the file's name."""
    return CheckpointError(f"is damaged or cut short ({reason}); fetch or save it again")
