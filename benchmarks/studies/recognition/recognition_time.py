"""``python -m cnn_export.benchmarks.studies.recognition.recognition_time``: the time of naming.

From tensor names and shapes of a memory-mapped file to the network that they are, once torch and
torchvision are loaded: medians of CPU milliseconds, and the file's size. Reading every value, which
proves that all are finite, comes later and is not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from torchvision import models

from cnn_export.source.recognition.recognise import recognise
from cnn_export.source.weight_sets.spellings import spellings

NETWORKS = (
    "mobilenet_v2",
    "resnet152",
    "efficientnet_b7",
    "densenet201",
    "vgg16",
    "convnext_large",
)
_ROUNDS = 5

Figures = dict[str, float]


def measure(name: str, folder: Path) -> Figures:
    """Write the network as its users do, map the file, and name the network."""
    path = folder / f"{name}.pth"
    torch.save(models.get_model_builder(name)().state_dict(), path)
    seconds = [_round(path, name) for _ in range(_ROUNDS)]
    size = path.stat().st_size
    path.unlink()
    return {"milliseconds": 1000 * statistics.median(seconds), "megabytes": size / 1e6}


def _round(path: Path, name: str) -> float:
    tensors = torch.load(path, mmap=True, weights_only=True)
    start = time.process_time()
    candidate, _, _ = recognise(list(spellings(tensors, {})), {}, {})
    seconds = time.process_time() - start
    if candidate.label != name:
        raise AssertionError(f"{name} was taken for {candidate}")
    return seconds


def main() -> None:
    """Print one JSON line per network."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in NETWORKS:
            sys.stdout.write(json.dumps({"network": name, **measure(name, Path(folder))}) + "\n")


if __name__ == "__main__":
    main()
