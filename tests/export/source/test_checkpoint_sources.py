"""``--model`` and ``--model-arg``: every spelling, and every way to get them wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from cnn_export.errors import CheckpointError, TargetUnavailable, UsageError
from cnn_export.models.registry import architectures
from cnn_export.source import known_models, load_model
from cnn_export.source.networks.model_arguments import parse_value

USER_MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels=4, classes: int = 3, bias=True):
        super().__init__()
        self.body = nn.Conv2d(3, channels, 3, bias=bias)
        self.head = nn.Linear(channels, classes)
    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

def make(**options):
    from user_late import WIDTH
    return Net(WIDTH, **options)

def fails():
    raise RuntimeError("no such luck\\nsecond line")

def words():
    return "words"

instance = Net(2)
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "user_net.py").write_text(USER_MODULE)
    (tmp_path / "user_late.py").write_text("WIDTH = 6\n")
    (tmp_path / "user_broken.py").write_text("import sys\nsys.exit('usage: ...')\n")
    (tmp_path / "user_needs.py").write_text("import a_package_nobody_has\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("user_net", "user_late", "user_broken", "user_needs"):
        sys.modules.pop(name, None)


def _weights(path: Path, channels: int, classes: int = 3) -> Path:
    torch.manual_seed(2)
    state = {
        "body.weight": torch.randn(channels, 3, 3, 3),
        "body.bias": torch.randn(channels),
        "head.weight": torch.randn(classes, channels),
        "head.bias": torch.randn(classes),
    }
    torch.save(state, path)
    return path


def _expected(path: Path, images: torch.Tensor) -> torch.Tensor:
    state = torch.load(path, weights_only=True)
    maps = torch.nn.functional.conv2d(images, state["body.weight"], state["body.bias"])
    return torch.nn.functional.linear(maps.mean((2, 3)), state["head.weight"], state["head.bias"])


@pytest.mark.parametrize(
    ("model", "arguments", "channels", "classes"),
    [
        ("user_net:Net", {}, 4, 3),
        ("user_net:Net", {"channels": "5", "classes": "2"}, 5, 2),
        ("user_net:make", {"classes": "7"}, 6, 7),
        ("user_net:instance", {}, 2, 3),
    ],
)
def test_callable_of_the_user(
    model: str, arguments: dict[str, str], channels: int, classes: int, folder: Path
) -> None:
    path = _weights(folder / "net.pt", channels, classes)
    loaded = load_model(path, model=model, model_args=arguments)
    images = torch.randn(2, 3, 7, 9)
    assert torch.allclose(loaded.module(images), _expected(path, images), atol=1e-6)
    assert loaded.name == model
    assert loaded.arguments == {key: int(value) for key, value in arguments.items()}
    assert str(folder) not in sys.path


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("user_nets:Net", "module 'user_nets' is not found"),
        ("user_net.deep:Net", "user_net.deep' is not found"),
        ("user_net:Nett", "no attribute 'Nett'. Did you mean 'Net'"),
        ("user_net:Net.make", "Net has no attribute 'make'"),
        ("user_net:fails", "RuntimeError: no such luck"),
        ("user_net:words", "returned a str"),
        ("user_net:number", "is a int"),
        ("user_broken:Net", "SystemExit"),
        ("user_needs:Net", "needs the module 'a_package_nobody_has'"),
        ("mobilnet_v2", "Did you mean 'mobilenet_v2'"),
        ("skipnett", "Did you mean 'skipnet'"),
        ("torchvision:resnet51", "Did you mean 'resnet"),
        ("torchvision:fcn_resnet50", "no network 'fcn_resnet50'"),
        ("timm:ghostnet_10", "or 'ghostnet_100'"),
        ("timm:hf-hub:timm/resnet18", "timm has no network"),
        ("timm:", "is incomplete"),
        (":Net", "is incomplete"),
    ],
)
def test_wrong_model(model: str, said: str, folder: Path) -> None:
    path = _weights(folder / "net.pt", 4)
    with pytest.raises(UsageError) as caught:
        load_model(path, model=model)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        ("user_net:Net", {"depth": "3"}, "unexpected keyword argument 'depth'"),
        ("mobilenet_v2", {"depth": "3"}, "unexpected keyword argument 'depth'"),
        ("mobilenet_v2", {"weights": "DEFAULT"}, "--model-arg weights is not taken"),
        ("skipnet", {"widht": "0.5"}, "takes no argument 'widht'. Did you mean 'width'?"),
        ("skipnet", {"width": "0,2"}, "width=0,2 is text: write width=0.2"),
        ("timm:ghostnet_100", {"pretrained": "true"}, "--model-arg pretrained is not taken"),
    ],
)
def test_wrong_argument(model: str, arguments: dict[str, str], said: str, folder: Path) -> None:
    path = _weights(folder / "net.pt", 4)
    with pytest.raises(UsageError) as caught:
        load_model(path, model=model, model_args=arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("none", None),
        ("null", None),
        ("silu", "silu"),
        ("[1, 2.5]", [1, 2.5]),
        ('{"a": [true]}', {"a": [True]}),
        ('"3"', "3"),
        ("1_000", "1_000"),
        ("NaN", "NaN"),
        ("__import__('os')", "__import__('os')"),
        ("", ""),
    ],
)
def test_argument_values(text: str, value: Any) -> None:
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_torchvision_network_outside_the_recognised_ones(tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = torchvision.models.swin_t(num_classes=4).eval()
    path = tmp_path / "net.pt"
    torch.save(original.state_dict(), path)
    loaded = load_model(path, model="torchvision:swin_t", model_args={"num_classes": "4"})
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original(images))


def test_rounding_other_than_published_by_argument(tmp_path: Path) -> None:
    original = torchvision.models.mobilenet_v2(width_mult=0.4, round_nearest=4, num_classes=3)
    path = tmp_path / "net.pt"
    torch.save(original.eval().state_dict(), path)
    with pytest.raises(CheckpointError, match="looks like mobilenet_v2"):
        load_model(path)
    arguments = {"width": "0.4", "round_nearest": "4"}
    loaded = load_model(path, model="mobilenet_v2", model_args=arguments)
    images = torch.randn(1, 3, 65, 40)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original(images))


@pytest.mark.parametrize("recorded", [False, True], ids=["--model", "recorded name"])
def test_timm(recorded: bool, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    original = timm.create_model("ghostnet_050", num_classes=9, in_chans=1).eval()
    path = tmp_path / "net.pt"
    torch.save({"state_dict": original.state_dict(), "arch": "ghostnet_050"}, path)
    loaded = load_model(path, model=None if recorded else "timm:ghostnet_050")
    images = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(loaded.module(images), original(images))
    assert loaded.name == "timm:ghostnet_050"
    assert loaded.arguments == {"num_classes": 9, "in_chans": 1}
    assert (loaded.input_size, loaded.normalization) == ((1, 224, 224), None)


def test_timm_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(TargetUnavailable, match="pip install") as caught:
        load_model(_weights(tmp_path / "net.pt", 4), model="timm:ghostnet_100")
    assert caught.value.exit_code == 5


def test_a_recorded_name_never_imports(folder: Path) -> None:
    (folder / "user_mark.py").write_text("open('ran', 'w').write('x')\ndef make(): pass\n")
    state = torch.load(_weights(folder / "net.pt", 4), weights_only=True)
    torch.save({"arch": "user_mark:make", "model": state}, folder / "net.pt")
    with pytest.raises(CheckpointError, match="no known network"):
        load_model(folder / "net.pt")
    assert not (folder / "ran").exists()


def test_known_models_are_those_that_exist() -> None:
    names = known_models()
    assert set(architectures()) < set(names)
    foreign = set(names) - set(architectures()) - {"mnasnet"}
    assert foreign < set(torchvision.models.list_models(module=torchvision.models))
    assert len(names) == len(set(names))


def test_listing_models_imports_no_torch() -> None:
    code = (
        "import sys; from cnn_export.source import known_models;"
        "known_models(); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
