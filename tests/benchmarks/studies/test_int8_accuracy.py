"""The study of int8's accuracy: what judges never calibrates, and the digits keep their answers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from cnn_export.benchmarks.studies.int8.accuracy import main
from cnn_export.benchmarks.studies.int8.networks import skipnet_digits
from cnn_export.benchmarks.studies.int8.photographs import FOLDS, names, write_crops
from cnn_export.benchmarks.studies.int8.quantizing import Quantizer, figures
from cnn_export.benchmarks.studies.int8.variants import VARIANTS
from cnn_export.quantization.accuracy.verdict import judge


def test_no_photograph_judges_what_it_calibrated() -> None:
    judging = [set(names("judging", fold)) for fold in range(FOLDS)]
    for fold, judged in enumerate(judging):
        assert not judged & set(names("calibration", fold))
        assert len(judged) == 6
    assert not any(first & second for first, second in itertools.combinations(judging, 2))
    assert len(set.union(*judging)) == 18


def test_crops_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = (write_crops(tmp_path / name, "judging", 1, 8, 48) for name in "ab")
    written = sorted(path.name for path in first.iterdir())
    assert written == sorted(path.name for path in second.iterdir())
    assert len(written) == 8
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in written)


@pytest.mark.parametrize("name", ["min/max"])
def test_the_digits_lose_at_most_one_image(tmp_path: Path, name: str) -> None:
    subject = skipnet_digits(tmp_path, 64, 0)
    quantizer = Quantizer(subject)
    found = figures(subject, quantizer.pairs(quantizer.run(quantizer.decide(VARIANTS[name]))))
    (output,) = found
    assert output.samples == 360
    assert output.true_classes is not None
    assert output.true_classes.fp32.count == 358
    assert output.true_classes.int8.count >= 357
    assert all(verdict.met for verdict in judge(found))


def test_a_network_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lenet", "figures"]) == 2
    assert "lenet" in capfd.readouterr().err
