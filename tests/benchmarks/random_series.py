"""Random series of times, as Hypothesis draws them."""

from __future__ import annotations

from hypothesis import strategies as st

SERIES = st.lists(st.integers(10**5, 10**7), min_size=3, max_size=6)
PROCESSES = st.lists(SERIES, min_size=1, max_size=12)
