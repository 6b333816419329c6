"""A file with several sets of weights: averaged ones are preferred, others named or asked back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from checkpoint_trees import State, load_tree, same, tiny_state
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_export.errors import CheckpointError, ExportError, UsageError
from cnn_export.source.contents.groups import Group
from cnn_export.source.weight_sets import same_weights

RAW, EMA, THIRD = tiny_state(1), tiny_state(2), tiny_state(3)
PARAMETERS = {k: v for k, v in EMA.items() if "running" not in k and "num_batches" not in k}


def _under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _refusal(tree: Any, key: str | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_tree(tree, key=key)
    assert "\n" not in str(caught.value)
    return str(caught.value)


AVERAGED: dict[str, tuple[Any, str, str]] = {
    "nested state": ({"model": RAW, "ema_state": {"module": EMA, "n": 5}}, "ema_state", "model"),
    "shadow": ({"model": RAW, "ema": {"decay": 0.9, "shadow": EMA}}, "ema.shadow", "model"),
    "lightning": (
        {"state_dict": RAW, "callbacks": {"EMA": {"ema_state_dict": EMA}}},
        "callbacks.EMA",
        "state_dict",
    ),
    "another callback": (
        {"state_dict": _under("net.", RAW), "callbacks": {"EMACallback{'d': 1}": {"w": EMA}}},
        "EMACallback",
        "state_dict",
    ),
    "online": ({"online_model": RAW, "ema_model": EMA}, "ema_model", "online_model"),
    "beside bare ones": ({**RAW, "ema": EMA, "epoch": 3}, "ema", "."),
    "in one mapping": (
        {
            **_under("online_model.", RAW),
            **_under("ema_model.", EMA),
            "initted": torch.tensor(True),
            "step": torch.tensor(7),
        },
        "ema_model.",
        "online_model",
    ),
    "without dots": (
        {
            "state_dict": {
                **_under("model.", RAW),
                **{f"model_ema.{k.replace('.', '')}": v for k, v in PARAMETERS.items()},
                "model_ema.decay": torch.tensor(0.9),
            }
        },
        "model_ema.",
        "model",
    ),
    "timm": ({"state_dict": RAW, "state_dict_ema": _under("module.", EMA)}, "ema", "state_dict"),
}


@pytest.mark.parametrize("kind", AVERAGED)
def test_averaged_weights_are_found_and_said(kind: str) -> None:
    tree, where, raw = AVERAGED[kind]
    loaded = load_tree(tree)
    expected = {**RAW, **PARAMETERS} if kind == "without dots" else EMA
    assert same(loaded.state, expected)
    assert "averaged weights taken from" in loaded.notes
    assert where in loaded.notes
    assert raw in loaded.notes


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"model": RAW, "ema": {"shadow": EMA}}, "model"),
        ({"state_dict": RAW, "callbacks": {"EMA": {"w": EMA}}}, "state_dict"),
        ({**RAW, "ema": EMA}, "."),
        ({"generator": RAW, "critic": EMA}, "generator"),
        ({**_under("online_model.", RAW), **_under("ema_model.", EMA)}, "online_model"),
        ({"w": {**_under("module.net.", RAW), **_under("module.ema.", EMA)}}, "net"),
        ({"state_dict": {**_under("a.b.", RAW), **_under("ema.", EMA)}}, "state_dict.a.b"),
    ],
)
def test_the_key_chooses(tree: Any, key: str) -> None:
    loaded = load_tree(tree, key=key)
    assert same(loaded.state, RAW)
    assert f"'{key}', as --weights-key says" in loaded.notes


@pytest.mark.parametrize("key", ["modell", "epoch", "optimizer.state.0", "model.stem.weight.x"])
def test_a_key_that_leads_nowhere(key: str) -> None:
    tree = {"model": RAW, "epoch": 3, "optimizer": {"state": {0: {"m": torch.ones(2, 2)}}}}
    with pytest.raises(UsageError, match="the file has them in model"):
        load_tree(tree, key="modell")


def test_parameters_alone_get_the_statistics_they_were_tried_with() -> None:
    loaded = load_tree({"model": RAW, "ema": {"shadow": PARAMETERS}})
    assert same(loaded.state, {**RAW, **PARAMETERS})
    assert "statistics are those of 'model'" in loaded.notes


def test_an_average_that_lacks_more_is_refused() -> None:
    partial = {k: v for k, v in PARAMETERS.items() if k != "norm.bias"}
    loaded = _refusal(
        {"model": _under("module.", RAW), "ema": {**partial, "other.w": RAW["head.weight"]}}
    )
    assert "norm.bias" in loaded


@pytest.mark.parametrize(
    "tree",
    [
        {"model": RAW, "ema": {"shadow_params": list(PARAMETERS.values()), "decay": 0.9}},
        {"model": RAW, "ema": EMA, "ema_slow": THIRD},
        {"model": RAW, "swa_state_dict": EMA},
        {"state_dict": RAW, "callbacks": {"StochasticWeightAveraging": {"average": EMA}}},
        {"generator": RAW, "discriminator": THIRD},
        {"generator": RAW, "discriminator": THIRD, "generator_ema": EMA},
    ],
)
def test_what_cannot_be_chosen_is_asked_back(tree: Any) -> None:
    assert "--weights-key" in _refusal(tree)


def test_hooks_that_swap_names() -> None:
    """OpenMMLab saves the averaged weights under the plain name, the raw ones as averaged."""
    tree = {"meta": {"mmengine_version": "0.10"}, "state_dict": EMA, "ema_state_dict": RAW}
    loaded = load_tree(tree)
    assert same(loaded.state, EMA)
    assert "ema_state_dict" in loaded.notes
    twice = {**RAW, **{f"ema_{k.replace('.', '_')}": v for k, v in PARAMETERS.items()}}
    assert "twice, as stem.weight and as ema_stem_weight" in _refusal({"state_dict": twice})


def test_other_tensors_are_named() -> None:
    tree = {
        "model": RAW,
        "best_model": THIRD,
        "queue": {"memory": torch.ones(4, 4)},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(5, 3, 3, 3)}}},
        "ema_loss": torch.tensor(0.5),
    }
    loaded = load_tree(tree)
    assert same(loaded.state, RAW)
    assert "again in best_model" in loaded.notes
    assert "tensors in queue are not used" in loaded.notes
    assert "optimizer" not in loaded.notes


def test_averages_in_an_optimizer_are_named() -> None:
    tree = {"state_dict": RAW, "optimizer_states": [{"ema": tuple(PARAMETERS.values())}]}
    notes = load_tree(tree).notes
    assert "optimizer_states.0.ema" in notes
    assert "--weights-key" not in notes  # a list leads to no tensors by name
    swa = {"optimizer": {"state": {0: {"swa_buffer": torch.ones(5, 3, 3, 3)}}}}
    assert "averages in optimizer.state.0 are not used" in load_tree({"model": RAW, **swa}).notes
    moments = {
        "optimizer": {"state": {0: {"exp_avg": torch.ones(5, 3), "square_avg": torch.ones(5, 3)}}}
    }
    assert load_tree({"model": RAW, **moments}).notes == ""


def test_thousands_of_sets_are_told_apart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw names are spelled once, not once for each set."""
    calls = 0
    spelled = same_weights.spelled_weights

    def counted(group: Group) -> Any:
        nonlocal calls
        calls += group.path == "state_dict"
        return spelled(group)

    monkeypatch.setattr(same_weights, "spelled_weights", counted)
    sets = {f"g{i}": {"w": torch.ones(2, 2)} for i in range(50)}
    load_tree({"state_dict": RAW, **sets})
    assert calls == 1


def test_more_averages_than_a_script_writes() -> None:
    many = {f"ema{i}.zz{i}": torch.ones(2, 2) for i in range(500)}
    assert "500 sets of averaged weights" in _refusal({**RAW, **many})


def test_momentum_by_name_is_no_average() -> None:
    loaded = load_tree({"model": RAW, "optimizer": {"ema_gradients": EMA}})
    assert same(loaded.state, RAW)
    assert "optimizer.ema_gradients" in loaded.notes


def test_a_network_with_both_inside_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class may hold two networks; then both sets are its own."""
    import checkpoint_trees
    from torch import nn

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.ema = checkpoint_trees.Tiny(), checkpoint_trees.Tiny()

    monkeypatch.setattr(checkpoint_trees, "Both", Both, raising=False)
    whole = {**_under("model.", RAW), **_under("ema.", EMA)}
    loaded = load_tree(whole, model="checkpoint_trees:Both")
    assert same(loaded.state, whole)
    assert loaded.notes == ""


KEYS = st.sampled_from(
    ["model", "state_dict", "net", "ema", "model_ema", "teacher", "best", "callbacks", "0", "ema_1"]
)
PATHS = st.lists(KEYS, min_size=1, max_size=3)
PREFIXES = st.sampled_from(["", "module.", "model.", "_orig_mod.", "module.model.", "net.module."])
JUNK = st.sampled_from(
    [
        None,
        3,
        "words",
        [1, "a"],
        {"lr": 0.1},
        torch.tensor(0.5),
        {"state": {0: {"m": torch.ones(2)}}},
    ]
)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(PATHS, PREFIXES), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["epoch", "optimizer", "args", "best", "0"]), JUNK),
)
def test_wherever_weights_stand(places: list[tuple[list[str], str]], junk: dict[str, Any]) -> None:
    """The result is one whole set that stands in the tree, and no other goes unmentioned."""
    tree: dict[str, Any] = copy.deepcopy(junk)
    placed: dict[str, State] = {}
    for seed, (path, prefix) in enumerate(places):
        inner: Any = tree
        for key in path[:-1]:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[path[-1]] = _under(prefix, tiny_state(seed + 10))
    for seed, (path, prefix) in enumerate(places):
        found: Any = tree
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found and same(found, _under(prefix, tiny_state(seed + 10))):
            placed[".".join(path)] = tiny_state(seed + 10)
    try:
        loaded = load_tree(tree)
    except ExportError as error:
        said = str(error)
        assert len(placed) != 1 or any("." in path for path in placed), said
        return
    chosen = [path for path, state in placed.items() if same(loaded.state, state)]
    assert chosen
    assert all(path in loaded.notes for path in placed if path != chosen[0])
