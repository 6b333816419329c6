"""Durations on the command line: ``500ms``, ``1s``, ``2min``, or few seconds as a number."""

from __future__ import annotations

import re

from cnn_export.errors import UsageError

LONGEST_S = 3600.0
BARE_S_MAX = 60.0
"""Above that a number without its unit is more likely to mean milliseconds."""
_SECONDS = {"ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|)")


def parse_duration_s(text: str, *, zero: bool = False) -> float:
    """Return the seconds that ``text`` means; ``zero`` allows none.

    Raises:
        UsageError: it is of another form, a large number without its unit, not above zero, or
            above an hour.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no duration; write 500ms, 1s or 2min")
    if not found[2] and float(found[1]) > BARE_S_MAX:
        raise UsageError(f"is {text!r} in seconds? write {found[1]}s or {found[1]}ms")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not (0 < seconds <= LONGEST_S or (zero and seconds == 0)):
        raise UsageError(f"the duration {text!r} is not between 0 and {LONGEST_S:.0f} s")
    return seconds
