"""A decision inside of a ``.pt2`` checkpoint."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from torch.export import ExportedProgram

from cnn_export.errors import InputRefused
from cnn_export.quantization.decision import Decision
from cnn_export.quantization.decision_json import decision_from_json, decision_to_json

_MEMBER = "int8_decision.json"
_BYTES_MAX = 64 * 2**20
"""Larger than any network's: a number takes some twenty bytes, and a channel has one or two."""


def save_with_decision(program: ExportedProgram, decision: Decision, path: Path) -> None:
    """Write the program, and the decision as a further file of its archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(program, path, extra_files={_MEMBER: decision_to_json(decision)})


def recorded_decision(path: Path) -> Decision | None:
    """Return the decision that a checkpoint was fine-tuned for, or ``None`` if it holds none.

    Nothing else of the file is read.

    Raises:
        InputRefused: what stands there is no decision.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(f"/{_MEMBER}")]
        if not members:
            return None
        if len(members) > 1 or members[0].file_size > _BYTES_MAX:
            raise InputRefused(f"{path}: the recorded int8 decision is damaged; save it again")
        return decision_from_json(archive.read(members[0]).decode(errors="replace"))
