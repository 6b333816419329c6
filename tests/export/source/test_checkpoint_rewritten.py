"""A checkpoint that is saved again while it is exported, as training runs do every epoch."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from command_checks import REFUSED, SMALL, refusal

from cnn_export import source
from cnn_export.__main__ import main
from cnn_export.source import checkpoint, load_model


def _contents(folder: Path) -> list[bytes]:
    """Return two checkpoints of one network, and the first half of one."""
    made: list[bytes] = []
    for seed in (1, 2):
        network = networks.seeded(networks.SmallNet(), seed)
        torch.save(network.state_dict(), folder / "one.pt")
        made.append((folder / "one.pt").read_bytes())
    return [*made, made[0][: len(made[0]) // 2]]


def _write_for_ever(path: str, contents: list[bytes]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        for content in contents:
            with open(path, "r+b") as file:  # noqa: PTH123 - as a training script does
                file.write(content)
                file.truncate()


def test_a_real_writer_beside(tmp_path: Path) -> None:
    """Whatever is read is one state of the file, or the file is refused; nothing crashes."""
    path = tmp_path / "net.pt"
    contents = _contents(tmp_path)
    path.write_bytes(contents[0])
    digests = {hashlib.sha256(content).hexdigest(): content for content in contents}
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_for_ever, args=(str(path), contents), daemon=True)
    writer.start()
    try:
        for _ in range(12):
            try:
                loaded = load_model(path, model="networks:SmallNet")
            except source.checkpoint.CheckpointError:
                continue
            (tmp_path / "same.pt").write_bytes(digests[loaded.source_sha256])
            expected = torch.load(tmp_path / "same.pt", weights_only=True)
            for name, tensor in loaded.module.state_dict().items():
                assert torch.equal(tensor, expected[name])
    finally:
        writer.kill()
        writer.join()
    path.write_bytes(contents[1])  # and what rests is read
    loaded = load_model(path, model="networks:SmallNet")
    assert digests[loaded.source_sha256] == contents[1]


@pytest.mark.parametrize("later", ["shorter", "other"])
def test_saved_again_right_after_it_was_read(
    later: str, small_checkpoint: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the file that was read, the manifest tells the digest; the artifact is of its weights."""
    content = small_checkpoint.read_bytes()
    described = checkpoint.describe

    def saved_again(*arguments: Any, **named: Any) -> Any:
        small_checkpoint.write_bytes(b"" if later == "shorter" else bytes(len(content)))
        return described(*arguments, **named)

    monkeypatch.setattr(checkpoint, "describe", saved_again)
    arguments = ["-t", "onnx", *SMALL, "-o", str(out), "--quiet"]
    assert main([str(small_checkpoint), *arguments]) == 0
    manifest = json.loads((out / "small.onnx.manifest.json").read_text())
    assert manifest["source"]["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files(
    kind: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert f"is a {kind}, not a file" in refusal(capfd, REFUSED, path, "-t", "onnx", "-o", out)
