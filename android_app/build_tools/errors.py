"""How a build ends when it cannot go on."""

from __future__ import annotations


class BuildError(Exception):
    """One line for the user: what is wrong, where, what to do."""
