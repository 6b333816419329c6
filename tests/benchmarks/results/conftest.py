"""Random results files, for every test that holds all readers to the same figures."""

from __future__ import annotations

import pytest
from random_records import SEEDS
from random_results import random_results

from cnn_export.benchmarks.results.record_types import Pair, Record, Repeat


@pytest.fixture(params=SEEDS)
def records(request: pytest.FixtureRequest) -> list[Record]:
    found = random_results(request.param)
    assert any(isinstance(each, Repeat | Pair) for each in found), "draw another seed"
    return found
