"""What a user can get wrong on the command line: one line says it, and nothing is written."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from command_checks import REFUSED, SMALL, refusal

ONNX = ("-t", "onnx")
DETERMINANT = ("--model", "networks:Determinant", "--input", "image=1x3x9x11")
DETERMINANT_LINE = next(
    number
    for number, line in enumerate(Path(networks.__file__).read_text().splitlines(), start=1)
    if "torch.linalg.det" in line
)

USER_NETWORKS = '''
import torch
from torch import nn


class Wide(nn.Module):
    """Takes images from 5 px."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 5)

    def forward(self, image):
        return self.conv(image).mean((2, 3))


class Bessel(Wide):
    def forward(self, image):
        return torch.special.bessel_j0(self.conv(image))


class Exits(Wide):
    def forward(self, image):
        raise SystemExit("bye")
'''


class Boom:
    """Unpickling one would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


@pytest.fixture
def user_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``wide_networks`` in the current folder, and a checkpoint of its networks."""
    (tmp_path / "wide_networks.py").write_text(USER_NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "wide_networks", raising=False)
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(3, 4, 5)
    checkpoint = tmp_path / "wide.pt"
    torch.save({f"conv.{name}": value for name, value in conv.state_dict().items()}, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"these are words, not weights\n" * 9, "is text"),
    ],
)
def test_no_checkpoint(
    content: bytes | None, said: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    if content is not None:
        path.write_bytes(content)
    message = refusal(capfd, REFUSED, path, *ONNX, "-o", out)
    assert said in message
    assert str(path) in message
    assert list(out.iterdir()) == []


def test_truncated_checkpoint(
    small_checkpoint: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = small_checkpoint.read_bytes()
    small_checkpoint.write_bytes(content[: len(content) // 2])
    message = refusal(capfd, REFUSED, small_checkpoint, *ONNX, *SMALL, "-o", out)
    assert "again" in message  # fetch or save it again
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_never_runs(
    legacy: bool, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, mark = tmp_path / "net.pt", tmp_path / "mark"
    content = {**networks.small_net().state_dict(), "extra": Boom(mark)}
    if legacy:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    message = refusal(capfd, REFUSED, path, *ONNX, *SMALL, "-o", out)
    assert not mark.exists()
    assert str(path) in message
    assert list(out.iterdir()) == []


def _with_nan(state: dict[str, torch.Tensor]) -> None:
    state["conv.weight"][1, 2, 0, 1] = torch.nan


def _other_classes(state: dict[str, torch.Tensor]) -> None:
    state["head.weight"] = state["head.weight"][:5]
    state["head.bias"] = state["head.bias"][:5]


def _half(state: dict[str, torch.Tensor]) -> None:
    for name in list(state)[::2]:
        del state[name]


@pytest.mark.parametrize(
    ("damage", "named"),
    [(_with_nan, "conv.weight"), (_other_classes, "head.weight"), (_half, "conv.weight")],
)
def test_tensors_that_do_not_fit(
    damage: object, named: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    state = networks.small_net().state_dict()
    assert callable(damage)
    damage(state)
    path = tmp_path / "net.pt"
    torch.save(state, path)
    assert named in refusal(capfd, REFUSED, path, *ONNX, *SMALL, "-o", out)
    assert list(out.iterdir()) == []


def test_input_too_small(user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [*ONNX, "--model", "wide_networks:Wide", "--input-size", "4x9", "-o", out]
    message = refusal(capfd, REFUSED, user_networks, *arguments)
    assert "1x3x4x9" in message
    assert "wide_networks.py:14" in message
    assert "--input-size" in message
    assert list(out.iterdir()) == []


def test_input_too_small_for_a_known_network(
    tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from cnn_export.models.families.skipnet import skipnet

    path = tmp_path / "skipnet.pt"
    torch.save(networks.seeded(skipnet(classes=4)).state_dict(), path)
    message = refusal(capfd, REFUSED, path, *ONNX, "--input-size", "8", "-o", out)
    assert "1x3x8x8" in message
    assert list(out.iterdir()) == []


def test_a_network_that_exits_is_no_success(
    user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [*ONNX, "--model", "wide_networks:Exits", "--input-size", "9", "-o", out]
    assert "bye" in refusal(capfd, REFUSED, user_networks, *arguments)


@pytest.mark.parametrize("target", ["tflite", "coreml", "executorch"])
def test_an_operator_without_a_lowering(
    target: str, tmp_path: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.pt"
    torch.save(networks.Determinant().state_dict(), path)
    message = refusal(capfd, REFUSED, path, "-t", target, *DETERMINANT, "-o", out)
    assert target in message
    assert "aten._linalg_det" in message
    assert f"networks.py:{DETERMINANT_LINE}" in message
    assert list(out.iterdir()) == []


def test_an_operator_without_a_lowering_in_onnx(
    user_networks: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "wide_networks:Bessel", "--input-size", "9x11", "-o", out]
    message = refusal(capfd, REFUSED, user_networks, *ONNX, *arguments)
    assert "bessel_j0" in message
    assert "wide_networks.py:19" in message
    assert list(out.iterdir()) == []
