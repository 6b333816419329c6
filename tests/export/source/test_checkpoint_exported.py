"""``.pt2``: the program comes back with its inputs; whatever could run code does not."""

from __future__ import annotations

import fractions
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnn_export.errors import CheckpointError, InputRefused, UsageError
from cnn_export.program.program import capture
from cnn_export.source import load_model
from cnn_export.untrusted.tensor_files.programs.expressions import is_arithmetic


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.register_buffer("offset", torch.tensor([0.25, 0.5]), persistent=False)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 2))
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.normal_(0, 0.5)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.norm(self.conv(x)))
        pooled = nn.functional.interpolate(maps, scale_factor=2, mode="bilinear").mean((2, 3))
        return self.head(pooled) + self.offset


def _saved(path: Path, module: nn.Module, dynamic: bool = False, dtype: Any = None) -> Path:
    batch = {"x": {0: torch.export.Dim("batch", min=1, max=64)}} if dynamic else None
    images = torch.randn(2, 3, 9, 12, dtype=dtype)
    torch.export.save(torch.export.export(module, (images,), dynamic_shapes=batch), path)
    return path


@pytest.fixture(scope="module")
def original() -> nn.Module:
    torch.manual_seed(4)
    return _Net().eval()


@pytest.fixture(scope="module")
def saved(original: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("pt2") / "net.pt2", original, dynamic=True)


def test_program_and_inputs_come_back(original: nn.Module, saved: Path) -> None:
    loaded = load_model(saved)
    assert (loaded.name, loaded.container, loaded.input_size) == ("pt2", "", (3, 9, 12))
    assert loaded.example_inputs is not None
    assert [tuple(t.shape) for t in loaded.example_inputs] == [(2, 3, 9, 12)]
    images = torch.randn(5, 3, 9, 12)
    assert torch.equal(loaded.module(images), original(images))


def test_program_can_be_captured_again(original: nn.Module, saved: Path) -> None:
    loaded = load_model(saved)
    assert loaded.example_inputs is not None
    program = capture(loaded.module, loaded.example_inputs)
    images = torch.randn(2, 3, 9, 12)
    assert torch.equal(program.graph_module(images)[0], original(images))


def test_content_decides(original: nn.Module, saved: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "net.pth"
    renamed.write_bytes(saved.read_bytes())
    images = torch.randn(2, 3, 9, 12)
    assert torch.equal(load_model(renamed).module(images), original(images))


def _refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_model(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_training_mode(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.pt2", _Net().train())
    assert "training mode" in _refusal(path)


def test_another_float_type(tmp_path: Path) -> None:
    path = _saved(tmp_path / "net.pt2", _Net().eval().double(), dtype=torch.float64)
    assert "float32" in _refusal(path)


def test_nan(tmp_path: Path) -> None:
    module = _Net().eval()
    nn.init.constant_(module.conv.weight, float("nan"))
    assert "NaN or infinity in conv.weight" in _refusal(_saved(tmp_path / "net.pt2", module))


def test_model_option_does_not_apply(saved: Path) -> None:
    with pytest.raises(UsageError, match="drop --model"):
        load_model(saved, model="resnet18")
    with pytest.raises(UsageError, match="drop --model"):
        load_model(saved, model_args={"classes": "3"})


@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_truncated(kept: float, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    content = saved.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "damaged" in _refusal(path)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return eval, (f"open({str(self.target)!r}, 'w').write('boom') and ()",)


def _rewritten(source: Path, path: Path, edit: dict[str, Callable[[bytes], bytes]]) -> Path:
    """Copy the archive, with the records edited whose name ends so."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for ending, change in edit.items():
                content = change(content) if name.endswith(ending) else content
            new.writestr(name, content)
    return path


def _edited(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return edit


def _pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_a_rewritten_archive_still_loads(saved: Path, tmp_path: Path) -> None:
    path = _rewritten(saved, tmp_path / "net.pt2", {})
    assert load_model(path).name == "pt2"


def test_code_in_the_sample_inputs(saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "victim"
    edit = {"sample_inputs/model.pt": lambda _old: _pickled(_Bomb(target))}
    path = _rewritten(saved, tmp_path / "net.pt2", edit)
    message = _refusal(path)
    assert "data/sample_inputs/model.pt" in message
    assert "--allow-pickle" in message
    assert not target.exists()
    with pytest.raises(CheckpointError):
        load_model(path, allow_pickle=True)
    assert target.exists()  # torch.export.load does run it: the refusal matters


def test_code_in_a_constant(saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "victim"

    def opaque(document: Any) -> None:
        payload = next(iter(document["config"].values()))
        payload["path_name"] = payload["path_name"].replace("tensor_", "opaque_obj_")

    assert pickle.dumps(_Bomb(target))
    path = _rewritten(saved, tmp_path / "net.pt2", {"constants_config.json": _edited(opaque)})
    assert "the pickled object offset" in _refusal(path)


def test_allowing_pickle_still_finds_an_empty_weight(saved: Path, tmp_path: Path) -> None:
    """Torch fills an empty record with zeros."""
    edit = {
        "sample_inputs/model.pt": lambda _old: _pickled(fractions.Fraction(1, 2)),
        "data/weights/weight_0": lambda _old: b"",
    }
    path = _rewritten(saved, tmp_path / "net.pt2", edit)
    assert "--allow-pickle" in _refusal(path)
    assert "data/weights/weight_0" in _refusal(path, allow_pickle=True)


def _first_call(document: Any) -> Any:
    return document["graph_module"]["graph"]["nodes"][0]


def _set_target(document: Any) -> None:
    _first_call(document)["target"] = "torch.serialization.os.system"


def _set_library(document: Any) -> None:
    _first_call(document)["target"] = "torch.ops.load_library"


def _set_expression(document: Any) -> None:
    values = document["graph_module"]["graph"]["tensor_values"]
    sizes = values["x"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = "__import__('os').system('true')"


def _set_name(document: Any) -> None:
    graph = document["graph_module"]["graph"]
    graph["inputs"][-1]["as_tensor"]["name"] = "x=print(1)"


def _set_tree(document: Any) -> None:
    tree = document["graph_module"]["module_call_graph"][0]["signature"]
    tree["in_spec"] = tree["in_spec"].replace("builtins.dict", "collections.defaultdict")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set_target, "torch.serialization.os.system"),
        (_set_library, "torch.ops.load_library"),
        (_set_expression, "__import__"),
        (_set_name, "x=print(1)"),
        (_set_tree, "in_spec"),
    ],
)
def test_code_in_the_graph(
    change: Callable[[Any], None], said: str, saved: Path, tmp_path: Path
) -> None:
    path = _rewritten(saved, tmp_path / "net.pt2", {"models/model.json": _edited(change)})
    message = _refusal(path)
    assert said in message
    assert "could run code" in message


def test_compiled_code(saved: Path, tmp_path: Path) -> None:
    path = _rewritten(saved, tmp_path / "net.pt2", {})
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/aotinductor/model/model.so", b"\x7fELF")
    assert "compiled code" in _refusal(path)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("Add(Mul(Integer(2), Symbol('s0', integer=True)), Integer(-1))", True),
        ("2*s0 + 1", True),
        ("FloorDiv(Symbol('s0', integer=True), 2)", True),
        ("__import__('os')", False),
        ("Symbol.__init__", False),
        ("(lambda: 1)()", False),
        ("Symbol('s0; import os')", False),
        ("[x for x in ()]", False),
        ("sympify('1')", False),
        ("Integer(", False),
    ],
)
def test_dimension_expressions(text: str, plain: bool) -> None:
    assert is_arithmetic(text) is plain


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2, 3, 9, 13), "size 12 in dimension 3 of x, not 13"),
        ((2, 3, 8, 12), "size 9 in dimension 2 of x, not 8"),
        ((65, 3, 9, 12), "size 1 to 64 in dimension 0 of x, not 65"),
        ((3, 9, 12), "4 dimensions of x, not 3"),
    ],
)
def test_another_size_than_exported(shape: tuple[int, ...], said: str, saved: Path) -> None:
    module = load_model(saved).module
    with pytest.raises(CheckpointError, match=said):
        module(torch.zeros(shape))
    with pytest.raises(InputRefused, match=said):
        capture(module, (torch.zeros(shape),))


def test_dynamic_batch_needs_a_dynamic_program(
    original: nn.Module, saved: Path, tmp_path: Path
) -> None:
    images = torch.randn(5, 3, 9, 12)
    program = capture(load_model(saved).module, (images,), dynamic_batch=True)
    assert torch.equal(program.graph_module(images)[0], original(images))
    fixed = load_model(_saved(tmp_path / "fixed.pt2", original)).module
    with pytest.raises(InputRefused, match="size 2 in dimension 0 of x, not a dynamic one"):
        capture(fixed, (images,), dynamic_batch=True)


def test_several_inputs_are_checked_by_name(tmp_path: Path) -> None:
    class Sum(nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left + right

    path, given = tmp_path / "net.pt2", (torch.randn(1, 4, 3), torch.randn(1, 4, 3))
    torch.export.save(torch.export.export(Sum(), given), path)
    module = load_model(path).module
    assert torch.equal(module(*given), given[0] + given[1])
    with pytest.raises(CheckpointError, match="dimension 2 of right, not 1"):
        module(given[0], given[1][..., :1])
