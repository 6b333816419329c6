"""Durations say their unit, unless they are a few seconds."""

from __future__ import annotations

import pytest

from cnn_export.command_line.durations import parse_duration_s
from cnn_export.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("1s", 1), ("2min", 120), (" 1.5 ", 1.5), ("60", 60), ("500s", 500)],
)
def test_a_duration(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("500", "is '500' in seconds? write 500s or 500ms"),
        ("60.5", "write 60.5s or 60.5ms"),
        ("1h", "is no duration"),
        ("-1s", "is no duration"),
        ("0s", "not between"),
        ("61min", "not between"),
    ],
)
def test_no_duration(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration_s(text)
    assert said in str(caught.value)


def test_none_at_all_where_it_is_allowed() -> None:
    assert parse_duration_s("0", zero=True) == 0
