"""One line of the budget table, whatever judged it."""

from __future__ import annotations

import dataclasses
from typing import Literal

Standing = Literal["met", "missed", "undecided"]


@dataclasses.dataclass(frozen=True)
class BudgetRow:
    """One bound on one artifact; texts carry their units."""

    subject: str
    quantity: str
    bound: str
    measured: str
    standing: Standing
    remark: str = ""
