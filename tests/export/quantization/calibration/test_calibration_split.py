"""Which samples calibrate and which judge: disjoint by content, whatever their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from calibration_files import archive, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.tensors import TensorSpec
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.calibration.reading import read_calibration
from cnn_export.quantization.calibration.split import separate, split

SPEC = TensorSpec("v", (1, 3), torch.float32)


def data_of(folder: Path, values: np.ndarray, name: str = "a") -> CalibrationData:
    return read_calibration(archive(folder / f"{name}.npz", v=values), [SPEC], None, batch=4)


def contents(data: CalibrationData) -> list[tuple[float, ...]]:
    return [tuple(row) for batch in data.batches() for row in batch["v"].tolist()]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=40, max_size=60), st.floats(0.05, 0.6))
def test_parts_are_disjoint_by_content_and_complete(
    tmp_path_factory: pytest.TempPathFactory, picks: list[int], share: float
) -> None:
    """Rows are picked from forty-one, so many are there several times."""
    values = rows(41, shape=(3,))[picks]
    if len(set(picks)) < 24:
        return
    parts = split(data_of(tmp_path_factory.mktemp("split"), values), share)
    calibration, held_back = contents(parts.calibration), contents(parts.held_back)
    assert not set(calibration) & set(held_back)
    assert sorted(calibration + held_back) == sorted(map(tuple, values.tolist()))
    first, second = map(contents, parts.halves)
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(calibration)
    assert abs(len(set(first)) - len(set(second))) <= 1
    kept = max(int(len(set(picks)) * share), 8)
    assert len(set(held_back)) == kept


def test_a_split_depends_on_content_alone(tmp_path: Path) -> None:
    values = rows(40, shape=(3,))
    first = split(data_of(tmp_path, values))
    turned = split(data_of(tmp_path, values[::-1].copy(), "b"))
    assert set(contents(first.held_back)) == set(contents(turned.held_back))
    assert contents(first.held_back) == contents(turned.held_back)[::-1]
    assert contents(first.held_back) != contents(turned.held_back)
    assert (first.calibration.record.count, first.held_back.record.count) == (30, 10)
    assert first.calibration.record.sha256 != turned.calibration.record.sha256


def test_too_few_for_two_sides(tmp_path: Path) -> None:
    with pytest.raises(
        InputRefused, match="15 different samples; 8 to calibrate on and 8 to judge"
    ):
        split(data_of(tmp_path, rows(15, shape=(3,))))
    parts = split(data_of(tmp_path, rows(16, shape=(3,)), "b"))
    assert (len(parts.calibration), len(parts.held_back)) == (8, 8)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_shares_that_are_none(tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        split(data_of(tmp_path, rows(40, shape=(3,))), share)


def test_copies_of_calibration_samples_do_not_judge(tmp_path: Path) -> None:
    values = rows(40, shape=(3,))
    calibration = data_of(tmp_path, values[:25])
    evaluation = data_of(tmp_path, values[15:], "b")
    parts = separate(calibration, evaluation)
    assert parts.repeated == 10
    assert contents(parts.held_back) == [tuple(row) for row in values[25:].tolist()]
    assert len(parts.calibration) == 25
    with pytest.raises(InputRefused, match=r"25 of 25 samples are also in .*and 0 are left"):
        separate(calibration, calibration)


def test_evaluation_of_another_normalization_is_said(tmp_path: Path) -> None:
    values = rows(40, shape=(3,))
    calibration = data_of(tmp_path, values[:20])
    assert separate(calibration, data_of(tmp_path, values[20:], "b")).held_back.notes == ()
    for name, scale in (("c", 60), ("d", 0.1)):
        (note,) = separate(calibration, data_of(tmp_path, values * scale, name)).held_back.notes
        assert "are both of one normalization?" in note
        assert f"{values.min() * scale:.4g}" in note
        assert f"{values[:20].max():.4g}" in note
