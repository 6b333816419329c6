"""What is recorded of the samples: how many, in which order, which content, what was left out."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np

from cnn_export.program.tensors import Tensors
from cnn_export.quantization.calibration.sample_source import SourceKind


@dataclasses.dataclass(frozen=True)
class SkippedSample:
    """A candidate that was left out, and why."""

    name: str
    reason: str


@dataclasses.dataclass(frozen=True)
class CalibrationRecord:
    """Which samples, so that somebody else can tell whether theirs are the same.

    ``sha256`` is over the samples' own digests (:func:`sample_digest`), in their order.
    ``skipped`` is what the reading of the whole source left out. ``notes`` are sentences for
    people: synthetic data, converted channels, values of another normalization.
    """

    kind: SourceKind
    count: int
    order: str
    sha256: str
    skipped: tuple[SkippedSample, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether no real data was behind it."""
        return self.kind == "synthetic"


def sample_digest(inputs: Tensors) -> bytes:
    """Return the SHA-256 of what the network is fed: by input, name, dtype, shape and values.

    Values are hashed little-endian in C order: the digest is the same on every machine.
    """
    digest = hashlib.sha256()
    for name, value in inputs.items():
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        digest.update(f"{name} {plain.dtype.str} {plain.shape}\n".encode())
        digest.update(plain.tobytes())
    return digest.digest()


def digest_of_all(digests: Iterable[bytes]) -> str:
    """Return the hexadecimal SHA-256 of digests in their order."""
    return hashlib.sha256(b"".join(digests)).hexdigest()
