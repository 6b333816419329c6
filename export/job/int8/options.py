"""The options of fewer bits than float32 has, apart: they apply to those precisions alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--weights",
        metavar="int8",
        help="Store weights in 8 bits and compute in float32: --precision int8-weights.",
    ),
    click.option(
        "--calibration",
        metavar="DIR|FILE.npz|synthetic",
        help="Samples that int8 ranges are measured on: images, or arrays by input name (int8).",
    ),
    click.option(
        "--evaluation",
        metavar="DIR|FILE.npz",
        help="Other samples for the accuracy gate. Default: int8 holds back some of --calibration.",
    ),
    click.option(
        "--labels",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Class of each sample of the accuracy gate, to measure real accuracy too.",
    ),
    click.option(
        "--ranges",
        metavar="minmax|percentile:P|mse",
        help="How activation ranges follow from the samples (int8).",
    ),
    click.option(
        "--bias-correction",
        is_flag=True,
        help="Move biases by what rounding shifts the mean of their channels (int8).",
    ),
    click.option(
        "--equalize",
        is_flag=True,
        help="Balance the ranges of channels between successive layers first, exactly (int8).",
    ),
    click.option(
        "--keep-float",
        multiple=True,
        metavar="auto|LAYER",
        help="Keep a layer float, or the cheapest set that meets the gate; repeatable (int8,"
        " --weights).",
    ),
    click.option(
        "--io",
        metavar="float|int8|uint8",
        help="Type of inputs and outputs. Default: float (int8).",
    ),
    click.option(
        "--device-profile",
        metavar="x86|htp|arm",
        help="What an int8 ONNX file is for: uint8 activations (x86, htp) or int8. Default: uint8.",
    ),
    click.option(
        "--strict", is_flag=True, help="Refuse what has no int8 form, instead of keeping it float."
    ),
)


def int8_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
