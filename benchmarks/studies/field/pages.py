"""Pages that show what commands wrote, between marks that name the command."""

from __future__ import annotations

from pathlib import Path

_END = "<!-- end -->\n"


def page_with(page: Path, command: str, text: str) -> str:
    """Return the page with ``text`` in the place of what ``command`` wrote there before.

    Raises:
        ValueError: the page has no such place.
    """
    mark = f"<!-- written by {command} -->\n"
    before, found, rest = page.read_text("utf-8").partition(mark)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise ValueError(f"{page} has no place for what {command} writes")
    return f"{before}{mark}\n{text}\n{_END}{after}"
