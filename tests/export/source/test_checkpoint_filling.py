"""After loading, the network's tensors are the file's, whatever its class does meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnn_export.errors import CheckpointError
from cnn_export.source import load_model


class _Net(nn.Module):
    """A convolution, a batch norm and a factor; the classes below do odd things with them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 5, 3, bias=False)
        self.norm = nn.BatchNorm2d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.stem(x))


class NoAssign(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        return super().load_state_dict(state_dict, strict)


class NoOptions(_Net):
    def load_state_dict(self, state_dict: Any) -> Any:
        return super().load_state_dict(state_dict)


class HalfNoAssign(NoAssign):
    """Copying into float16 parameters would round."""

    def __init__(self) -> None:
        super().__init__()
        self.half()


class MigratesNames(_Net):
    """Reads the names of an older release of itself."""

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for name in [n for n in state_dict if n.startswith(f"{prefix}old_stem.")]:
            state_dict[name.replace("old_stem.", "stem.")] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class MigratesByOverride(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        renamed = {k.replace("old_stem.", "stem."): v for k, v in state_dict.items()}
        return super().load_state_dict(renamed, strict)


class MigratesAndScales(MigratesNames):
    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        result = super().load_state_dict(state_dict, strict)
        self.stem.weight.data.mul_(2)
        return result


class ScalesAfter(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        result = super().load_state_dict(state_dict, strict, assign)
        self.stem.weight.data *= 2
        return result


class ScalesInPlace(_Net):
    """Edits the very tensor it was given, so that the two look alike afterwards."""

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        state_dict[f"{prefix}norm.running_var"].data.add_(1)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ScalesInHook(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_load_state_dict_post_hook(self._shift)

    @staticmethod
    def _shift(module: Any, _keys: Any) -> None:
        module.norm.bias.data.add_(1)


class Skips(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        kept = {k: v for k, v in state_dict.items() if not k.startswith("stem.")}
        return super().load_state_dict(kept, False, assign)


class Ignores(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        return None


class Fails(_Net):
    def load_state_dict(self, state_dict: Any, strict: bool = True) -> Any:
        raise KeyError("no such\nluck")


class FailsToTell(_Net):
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("not today")


class HidesItsHead(_Net):
    """Leaves a parameter out of what it saves; nothing in the file could fill it."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(5, 2)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        state = super().state_dict(*args, **kwargs)
        for name in [n for n in state if n.startswith("head.")]:
            del state[name]
        return state

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return super().load_state_dict(state_dict, False, assign)


class KeepsAList(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.convs = [nn.Conv2d(5, 5, 1)]


class _Holder:
    held: Any


class HidesLayers(_Net):
    """In a name of its own, a list in a list, a plain object, and past torch's own setter."""

    def __init__(self) -> None:
        super().__init__()
        self._extra = [nn.Conv2d(5, 5, 1)]
        self.nested = [[nn.Conv2d(5, 5, 1)]]
        self.holder = _Holder()
        self.holder.held = nn.Conv2d(5, 5, 1)
        object.__setattr__(self, "past", nn.Conv2d(5, 5, 1))


class DrawsConstants(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.randn(1, 5, 1, 1)
        self.listed = [torch.randn(5, 1, 1)]


class DrawsHidden(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.array = np.random.rand(5)
        self.register_buffer("noise", torch.randn(5, 1, 1), persistent=False)


class SteadyConstants(_Net):
    """What comes out the same each time, or follows from the file, is the class's own."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = [torch.linspace(0, 1, 7), torch.eye(3).to_sparse(), torch.ones(2) * 1j]
        self.array = np.arange(5.0)
        self.register_buffer("steps", torch.arange(5), persistent=False)
        self.register_load_state_dict_post_hook(self._derive)

    @staticmethod
    def _derive(module: Any, _keys: Any) -> None:
        module.doubled = module.stem.weight.detach() * 2


class ListsItsOwn(_Net):
    """A list of layers that are registered too."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [self.stem, self.norm]


class Lazy(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.LazyConv2d(5, 3, bias=False)


class Factor(_Net):
    """State that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.factor: Any = 1.0

    def get_extra_state(self) -> Any:
        return {"factor": self.factor, "shape": [1, (2, 3)]}

    def set_extra_state(self, state: Any) -> None:
        self.factor = state["factor"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * self.factor


class ForgetsFactor(Factor):
    def set_extra_state(self, state: Any) -> None:
        self.factor = 1.0


class RenamesFactor(MigratesNames, Factor):
    """Takes an older release's names, and its state that is no tensor."""


class RenamesAndForgets(MigratesNames, ForgetsFactor):
    """Takes the names only."""


class Tied(_Net):
    def __init__(self) -> None:
        super().__init__()
        self.twin = nn.Conv2d(3, 5, 3, bias=False)
        self.twin.weight = self.stem.weight


class Normalized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 5, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stem(x)


def _randomized(module: nn.Module) -> nn.Module:
    torch.manual_seed(4)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 2)
    return module.eval()


def _saved(tmp_path: Path, state: dict[str, Any]) -> Path:
    path = tmp_path / "net.pt"
    torch.save(state, path)
    return path


def _load(path: Path, kind: type[nn.Module]) -> nn.Module:
    return load_model(path, model=f"{__name__}:{kind.__qualname__}").module


def _assert_same(path: Path, kind: type[nn.Module], original: nn.Module) -> None:
    images = torch.randn(2, 3, 7, 9)
    with torch.no_grad():
        assert torch.equal(_load(path, kind)(images), original(images))


def _refusal(path: Path, kind: type[nn.Module]) -> str:
    with pytest.raises(CheckpointError) as caught:
        _load(path, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", [NoAssign, NoOptions, HalfNoAssign, ListsItsOwn, SteadyConstants])
def test_own_loading_code_loads(kind: type[nn.Module], tmp_path: Path) -> None:
    original = _randomized(_Net())
    _assert_same(_saved(tmp_path, original.state_dict()), kind, original)


@pytest.mark.parametrize("kind", [MigratesNames, MigratesByOverride])
def test_renames_of_the_class_itself_are_its_own(kind: type[nn.Module], tmp_path: Path) -> None:
    original = _randomized(_Net())
    old = {k.replace("stem.", "old_stem."): v for k, v in original.state_dict().items()}
    _assert_same(_saved(tmp_path, old), kind, original)
    assert "missing: stem.weight" in _refusal(_saved(tmp_path, old), _Net)


def test_weight_norm_is_migrated_by_torch(tmp_path: Path) -> None:
    original = _randomized(Normalized())
    names = {"original0": "weight_g", "original1": "weight_v"}
    old = {
        f"stem.{names.get(k.rpartition('.')[2], 'bias')}": v
        for k, v in original.state_dict().items()
    }
    assert sorted(old) == ["stem.bias", "stem.weight_g", "stem.weight_v"]
    _assert_same(_saved(tmp_path, old), Normalized, original)
    _assert_same(_saved(tmp_path, original.state_dict()), Normalized, original)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (ScalesAfter, "changes stem.weight while it loads"),
        (ScalesInPlace, "changes norm.running_var while it loads"),
        (ScalesInHook, "changes norm.bias while it loads"),
        (Skips, "changes stem.weight"),
        (Ignores, "changes stem.weight, norm.weight, norm.bias and 2 more"),
        (Fails, "does not take its own tensors: KeyError: 'no such"),
        (FailsToTell, "fails to give its state_dict: RuntimeError: not today"),
        (HidesItsHead, "leaves head.weight, head.bias out of its state_dict"),
        (KeepsAList, "keeps layers in convs"),
        (HidesLayers, "keeps layers in _extra, nested, holder"),
        (DrawsConstants, "draws scale, listed[0]"),
        (DrawsHidden, "draws array, noise"),
        (Lazy, "stem.weight of Lazy have no size yet"),
    ],
)
def test_a_network_that_would_not_hold_the_file_s_values(
    kind: type[nn.Module], said: str, tmp_path: Path
) -> None:
    state = _randomized(_Net()).state_dict()
    assert said in _refusal(_saved(tmp_path, state), kind)


def test_an_own_rename_that_changes_values_is_refused(tmp_path: Path) -> None:
    old = {k.replace("stem.", "old_stem."): v for k, v in _Net().state_dict().items()}
    assert "does not match" in _refusal(_saved(tmp_path, old), MigratesAndScales)


def test_extra_state_is_carried_over(tmp_path: Path) -> None:
    original = _randomized(Factor())
    original.factor = 3.0
    _assert_same(_saved(tmp_path, original.state_dict()), Factor, original)


def test_extra_state_that_is_lost_or_missing(tmp_path: Path) -> None:
    original = Factor()
    original.factor = 3.0
    state = dict(original.state_dict())
    assert "does not hold the file's _extra_state" in _refusal(
        _saved(tmp_path, state), ForgetsFactor
    )
    del state["_extra_state"]
    assert "keeps _extra_state beside its tensors" in _refusal(_saved(tmp_path, state), Factor)


def test_an_own_rename_keeps_the_extra_state_too(tmp_path: Path) -> None:
    original = _randomized(Factor())
    original.factor = 3.0
    state = original.state_dict().items()
    path = _saved(tmp_path, {k.replace("stem.", "old_stem."): v for k, v in state})
    _assert_same(path, RenamesFactor, original)
    assert "does not match" in _refusal(path, RenamesAndForgets)


def test_two_values_for_one_tensor(tmp_path: Path) -> None:
    state = dict(_randomized(_Net()).state_dict())
    twin = {"twin.weight": state["stem.weight"].clone()}
    assert _load(_saved(tmp_path, {**state, **twin}), Tied)
    twin["twin.weight"][0, 0, 0, 0] += 1
    message = _refusal(_saved(tmp_path, {**state, **twin}), Tied)
    assert "stem.weight and twin.weight are one tensor in the network" in message
