"""What is no usable checkpoint is refused in one line that says what, where and what to do."""

from __future__ import annotations

import copy
import fractions
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source import load_model


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2(num_classes=7, width_mult=0.25).state_dict()


def _refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert caught.value.exit_code == 4
    return message


def _saved(content: Any, path: Path) -> Path:
    torch.save(content, path)
    return path


def test_missing_file(tmp_path: Path) -> None:
    assert "does not exist" in _refusal(tmp_path / "none.pt")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in _refusal(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"these are words, not weights\n" * 40, "is text"),
        ("größer als gedacht ".encode() * 60, "is text"),
        (b"weights={0: 1}\n" * 40, "is text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "failed download"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (bytes(range(1, 200)) * 3, "unknown format"),
        (b"\x80\x02garbage", "not a plain checkpoint"),
    ],
)
def test_foreign_content(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    assert said in _refusal(path)


def test_tar_archive(tmp_path: Path) -> None:
    path = tmp_path / "net.pth.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "weights")
    assert "tar archive" in _refusal(path)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated(kind: str, kept: float, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "damaged or cut short" in _refusal(path)


def test_zip_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "no weights")
    assert "zip without" in _refusal(path)


@pytest.mark.parametrize("allow_pickle", [False, True])
def test_torchscript(allow_pickle: bool, tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)).save(str(path))
    assert "TorchScript" in _refusal(path, allow_pickle=allow_pickle)


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.write_text, (self.target, "boom")


class _SystemBomb(_Bomb):
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        import os

        return os.system, (f"echo boom > {self.target}",)


class _EvalBomb(_Bomb):
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return eval, (f"open({str(self.target)!r}, 'w').write('boom')",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("bomb", "named"),
    [(_Bomb, "pathlib.Path.write_text"), (_SystemBomb, "posix.system"), (_EvalBomb, "eval")],
)
def test_code_in_a_pickle_is_named_and_never_runs(
    bomb: type[_Bomb], named: str, legacy: bool, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    target, path = tmp_path / "victim.txt", tmp_path / "net.pt"
    content = {"state_dict": state, "extra": bomb(target)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    message = _refusal(path)
    assert "--allow-pickle" in message
    assert "runs whatever code" in message
    if named != "pathlib.Path.write_text":
        assert named in message
    assert not target.exists()


def test_the_bomb_is_live(tmp_path: Path) -> None:
    target = tmp_path / "victim.txt"
    pickle.loads(pickle.dumps(_EvalBomb(target)))  # noqa: S301  (shows that the refusal above matters)
    assert target.exists()


def test_a_plain_pickle_is_not_run_either(tmp_path: Path) -> None:
    target, path = tmp_path / "victim.txt", tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(_EvalBomb(target), protocol=4))
    _refusal(path)
    assert not target.exists()


def test_whole_module_is_named(tmp_path: Path) -> None:
    path = _saved(torchvision.models.squeezenet1_1(), tmp_path / "net.pt")
    message = _refusal(path)
    assert "torchvision.models.squeezenet.SqueezeNet" in message
    assert "state_dict" in message


@pytest.mark.parametrize(
    "wrap",
    [lambda m: m, lambda m: {"model": m, "epoch": 1}, nn.DataParallel],
    ids=["bare", "in a dict", "parallel"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_whole_module_loads_when_allowed(
    wrap: Callable[[nn.Module], Any], zipped: bool, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    original = torchvision.models.squeezenet1_1(num_classes=5).eval()
    path = tmp_path / "net.pt"
    torch.save(wrap(original), path, _use_new_zipfile_serialization=zipped)
    loaded = load_model(path, allow_pickle=True)
    images = torch.randn(1, 3, 65, 71)
    assert torch.equal(loaded.module(images), original(images))
    assert loaded.name == "torchvision.models.squeezenet:SqueezeNet"
    assert any("--allow-pickle" in note for note in loaded.notes)


def test_allowing_pickle_still_finds_damage(tmp_path: Path) -> None:
    """Torch fills a storage that is missing with whatever is in memory."""
    saved = {"w": torch.ones(3), "note": fractions.Fraction(1, 2)}
    torch.save(saved, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    content = (tmp_path / "a.pt").read_bytes()
    keys = content.rindex(b"\x80\x02]q\x00X")
    (tmp_path / "a.pt").write_bytes(content[:keys] + pickle.dumps([], protocol=2))
    assert "fractions.Fraction" in _refusal(tmp_path / "a.pt")
    assert "is not in the file" in _refusal(tmp_path / "a.pt", allow_pickle=True)


def test_allowing_pickle_changes_nothing_for_plain_weights(
    state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = _saved(state, tmp_path / "net.pt")
    assert load_model(path, allow_pickle=True).notes == load_model(path).notes


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "name", ["features.3.conv.0.0.weight", "features.0.1.running_var", "classifier.1.bias"]
)
def test_not_finite(
    name: str, value: float, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    bad = state[name].clone()
    bad.view(-1)[-1] = value
    message = _refusal(_saved({**state, name: bad}, tmp_path / "net.pt"))
    assert "NaN or infinity" in message
    assert name in message


def test_overflow_in_float32(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    bad = state["classifier.1.bias"].double() + 1e300
    message = _refusal(_saved({**state, "classifier.1.bias": bad}, tmp_path / "net.pt"))
    assert "classifier.1.bias" in message


def test_integer_weights(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = "classifier.1.weight"
    bad = {**state, name: state[name].to(torch.int8)}
    assert f"{name} is int8" in _refusal(_saved(bad, tmp_path / "net.pt"))


def test_tensors_of_no_use(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    name = "classifier.1.weight"
    for bad, said in (
        (state[name].to_sparse(), "sparse"),
        (torch.quantize_per_tensor(state[name], 0.1, 0, torch.qint8), "quantized"),
        (state[name].to("meta"), "no data"),
        (state[name].to(torch.complex64), "complex"),
    ):
        message = _refusal(_saved({**state, name: bad}, tmp_path / "net.pt"))
        assert said in message
        assert name in message


@pytest.mark.parametrize(
    ("count", "more"), [(1, ""), (3, ""), (4, " and 1 more"), (5, " and 2 more")]
)
def test_three_tensors_of_no_use_are_named(
    count: int, more: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    names = [name for name in state if name.endswith(".weight")][:count]
    bad = {**state, **{name: state[name].to(torch.complex64) for name in names}}
    message = _refusal(_saved(bad, tmp_path / "net.pt"))
    assert f"{', '.join(names[:3])}{more}" in message
    assert ("more" in message) is bool(more)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch.zeros(3), "holds a Tensor"),
        ([torch.zeros(3)], "holds a list"),
        ({"epoch": 3, "lr": 0.1}, "epoch, lr"),
        ({}, "no tensors"),
        ({"state_dict": {}}, "no tensors"),
        (
            {"generator": {"w": torch.zeros(1)}, "critic": {"w": torch.zeros(1)}},
            "generator, critic",
        ),
        ({"_orig_mod.w": torch.zeros(1), "w": torch.zeros(1)}, "one name"),
    ],
)
def test_no_state_dict(content: Any, said: str, tmp_path: Path) -> None:
    assert said in _refusal(_saved(content, tmp_path / "net.pt"))


def test_endless_nesting(tmp_path: Path) -> None:
    nested: dict[str, Any] = {}
    nested["model"] = nested
    assert "no tensors" in _refusal(_saved(nested, tmp_path / "net.pt"))


def _repacked(source: Path, path: Path, compression: int) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_compressed_zip(kind: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """A thousandth of its size on disk: unpacking it could fill the memory."""
    source = tmp_path / f"plain.{kind}"
    if kind == "pt":
        torch.save(state, source)
    else:
        network = torch.export.export(nn.Conv2d(3, 2, 3).eval(), (torch.zeros(1, 3, 7, 5),))
        torch.export.save(network, source)
    stored = _repacked(source, tmp_path / f"stored.{kind}", zipfile.ZIP_STORED)
    assert load_model(stored).module is not None
    packed = _repacked(source, tmp_path / f"net.{kind}", zipfile.ZIP_DEFLATED)
    assert "compressed zip" in _refusal(packed)


def test_records_that_share_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", bytes(4000))
        twin = copy.copy(archive.infolist()[0])
        twin.filename = "a/data/0"
        archive.filelist.append(twin)
    assert "claims 8000 bytes of records" in _refusal(path)
