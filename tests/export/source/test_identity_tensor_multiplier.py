"""No tensor shows MobileNeXt's α: it is said, or the checkpoint is refused."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from command_checks import REFUSED, USAGE, refusal
from networks import randomize_batch_norm
from torch import nn

from cnn_export.errors import CheckpointError, UsageError
from cnn_export.models.families.mobilenext import mobilenext
from cnn_export.source import LoadedModel, load_model

FULL, HALF = "74_02_full_id_tensor", "74_09_i2rnetv3_half_id"
WIDTH, CLASSES = 0.1, 6
UNSAID = (
    r"model_best\.pth\.tar: mobilenext .*fits, but its tensors are the same for every identity "
    r"tensor multiplier.*--identity-tensor-multiplier 1\|1/2\|1/3\|1/6 or --model-arg "
    rf"identity_tensor_multiplier=1/2, or .*folder \({FULL}, {HALF}\)"
)


def network(multiplier: str, seed: int = 0) -> nn.Module:
    """Return the same weights for every multiplier of one seed."""
    torch.manual_seed(seed)
    model = mobilenext(WIDTH, CLASSES, identity_tensor_multiplier=multiplier)
    randomize_batch_norm(model)
    return model.eval()


def official(path: Path, **more: object) -> Path:
    """Write what the authors' trainer writes, to a folder that may not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"module.{name}": tensor for name, tensor in network("1").state_dict().items()}
    beside = {
        "epoch": 199,
        "arch": "i2rnetv3",
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{}]},
        "args": argparse.Namespace(model="i2rnetv3", img_size=224, mean=None, num_classes=CLASSES),
        "version": 2,
        "metric": 74.02,
    }
    torch.save({"state_dict": state, **beside, **more}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An official checkpoint in a folder that says nothing."""
    return official(tmp_path / "run" / "model_best.pth.tar")


def computes(loaded: LoadedModel, multiplier: str, seed: int = 0) -> bool:
    images = torch.randn(1, 3, 33, 42)
    with torch.no_grad():
        return torch.equal(loaded.module(images), network(multiplier, seed)(images))


def test_unsaid_is_refused(checkpoint: Path):
    with pytest.raises(CheckpointError, match=UNSAID):
        load_model(checkpoint)
    with pytest.raises(CheckpointError, match=UNSAID):
        load_model(checkpoint, model="mobilenext")


def test_unsaid_is_one_line_and_exit_4(checkpoint: Path, out: Path, capfd):
    line = refusal(capfd, REFUSED, checkpoint, "--target", "onnx", "-o", out)
    assert "--identity-tensor-multiplier 1|1/2|1/3|1/6" in line
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("said", ["1", "1/2", "1/3", "1/6"])
def test_said_by_option_or_argument(checkpoint: Path, said: str):
    stated = load_model(checkpoint, identity_tensor_multiplier=Fraction(said))
    argued = load_model(checkpoint, model_args={"identity_tensor_multiplier": said})
    for loaded in (stated, argued):
        assert computes(loaded, said)
        assert loaded.arguments["identity_tensor_multiplier"] == said
    assert (
        f"identity tensor multiplier {said}, as --identity-tensor-multiplier says" in stated.notes
    )


def test_half_and_full_differ(checkpoint: Path):
    assert not computes(load_model(checkpoint, identity_tensor_multiplier=Fraction(1)), "1/2")


@pytest.mark.parametrize(("folder", "multiplier"), [(FULL, "1"), (HALF, "1/2")])
def test_said_by_the_published_folder(tmp_path: Path, folder: str, multiplier: str):
    loaded = load_model(official(tmp_path / folder / "x" / "model_best.pth.tar"))
    assert computes(loaded, multiplier)
    assert f"identity tensor multiplier {multiplier}, as the folder {folder} says" in loaded.notes


def test_a_relative_path_and_a_link_keep_the_folder(tmp_path: Path, monkeypatch):
    file = official(tmp_path / HALF / "model_best.pth.tar")
    link = tmp_path / "best.pth.tar"
    link.symlink_to(file)
    assert computes(load_model(link), "1/2")
    monkeypatch.chdir(file.parent)
    assert computes(load_model(Path(file.name)), "1/2")


@pytest.mark.parametrize("name", [f"{HALF}_2", "half_id", HALF.upper()])
def test_a_similar_folder_says_nothing(tmp_path: Path, name: str):
    with pytest.raises(CheckpointError, match="the same for every identity tensor multiplier"):
        load_model(official(tmp_path / name / "model_best.pth.tar"))


def test_argument_and_folder_must_agree(tmp_path: Path):
    file = official(tmp_path / HALF / "model_best.pth.tar")
    assert computes(load_model(file, model_args={"identity_tensor_multiplier": "0.5"}), "1/2")
    with pytest.raises(UsageError, match=rf"--model-arg says 1, the folder {HALF} says 1/2"):
        load_model(file, model_args={"identity_tensor_multiplier": "1"})


def test_said_by_the_checkpoint_s_own_record(tmp_path: Path):
    record = {"arch": "mobilenext", "model_args": {"identity_tensor_multiplier": "1/3"}}
    loaded = load_model(official(tmp_path / "a.pth", **record))
    assert computes(loaded, "1/3")
    with pytest.raises(
        UsageError, match=r"--model-arg says 1, the checkpoint's model_args says 1/3"
    ):
        load_model(tmp_path / "a.pth", model_args={"identity_tensor_multiplier": "1"})


def test_a_nonsense_argument_is_refused(checkpoint: Path):
    with pytest.raises(UsageError, match="'2/3' is not 1 or 1/n"):
        load_model(checkpoint, model_args={"identity_tensor_multiplier": "2/3"})


@pytest.mark.parametrize("text", ["2/3", "0", "half"])
def test_a_nonsense_option_is_refused_before_the_file_is_read(text: str, capfd):
    arguments = ("absent.pth", "--target", "onnx", "--identity-tensor-multiplier", text)
    assert f"{text!r} is not 1 or 1/n" in refusal(capfd, USAGE, *arguments)


def test_averaged_weights_are_preferred(tmp_path: Path):
    averaged = network("1/2", seed=1).state_dict()
    file = official(tmp_path / HALF / "model_best.pth.tar", state_dict_ema=averaged)
    loaded = load_model(file)
    assert loaded.container == "state_dict_ema"
    assert computes(loaded, "1/2", seed=1)
    assert any("averaged weights" in note for note in loaded.notes)


def test_a_damaged_checkpoint_is_named_before_the_multiplier_is_asked(checkpoint: Path):
    contents = torch.load(checkpoint, weights_only=False)
    del contents["state_dict"]["module.features.7.conv.5.weight"]
    torch.save(contents, checkpoint)
    with pytest.raises(CheckpointError, match=r"missing: features\.7\.conv\.5\.weight"):
        load_model(checkpoint, model="mobilenext", model_args={"width": str(WIDTH), "classes": "6"})
