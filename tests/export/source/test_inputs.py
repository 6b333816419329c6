"""Sizes and shapes: what their text means, and what is refused."""

from __future__ import annotations

import pytest
import torch

from cnn_export.errors import UsageError
from cnn_export.program.normalization import parse_normalization
from cnn_export.source.inputs import (
    example_inputs,
    ordered_shapes,
    parse_shape,
    parse_size,
    positive_number,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("1", 1), ("999999999", 999999999), ("0", None), ("01", None), ("", None), ("1 ", None)),
        *((text, None) for text in ("1\n", "1_0", "+1", "٣", "²", "9" * 10)),
    ],
)
def test_positive_number(text: str, number: int | None) -> None:
    assert positive_number(text) == number


def test_sizes_and_shapes() -> None:
    assert parse_size("224") == (224, 224)
    assert parse_size("192x256") == (192, 256)
    assert parse_shape("1x3x192x256") == ((1, 3, 192, 256), None)
    assert parse_shape("7") == ((7,), None)
    assert parse_shape("1x5:int64") == ((1, 5), "int64")


def test_example_inputs_are_seeded_and_normal() -> None:
    first, second = example_inputs([(1, 3, 40, 50), (2, 5)])
    assert (first.shape, second.shape) == ((1, 3, 40, 50), (2, 5))
    assert first.dtype == torch.float32
    assert torch.equal(first, example_inputs([(1, 3, 40, 50)])[0])
    assert abs(float(first.mean())) < 0.05
    assert abs(float(first.std()) - 1) < 0.05


def test_shapes_come_in_the_order_of_the_arguments() -> None:
    shapes = {"mask": (1, 1), "image": (1, 3)}
    assert ordered_shapes(shapes, ["image", "mask"]) == [(1, 3), (1, 1)]


@pytest.mark.parametrize("names", [["image"], ["image", "mask", "more"], ["image", "mosk"]])
def test_shapes_of_other_names_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError, match=r"\['image', 'mask'\]"):
        ordered_shapes(dict.fromkeys(names, (1,)), ["image", "mask"])


def test_normalization_statistics() -> None:
    statistics = parse_normalization("0.1,0.2/0.5,0.25")
    assert (statistics.mean, statistics.std) == ((0.1, 0.2), (0.5, 0.25))
    assert parse_normalization("imagenet").mean == (0.485, 0.456, 0.406)
    assert parse_normalization("0.10,0.2/0.5,0.25") == statistics
    for text in ("imagenett", "0.1,0.2", "a/b", "1/2/3"):
        with pytest.raises(UsageError, match="neither"):
            parse_normalization(text)
