"""The stage's one exception."""

from __future__ import annotations


class ReparameterizationError(Exception):
    """A pass broke the network, failed, or did not come to rest.

    ``pass_name`` names the guilty pass; it is ``None`` where no single pass is at fault.
    """

    def __init__(self, message: str, pass_name: str | None = None) -> None:
        super().__init__(message)
        self.pass_name = pass_name
