"""MobileNeXt against published figures, the official tensor names and a forward restated."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from networks import randomize_batch_norm
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.models.families.mobilenext import MobileNeXt, mobilenext

# (width, M parameters, M multiply-accumulates at 224), measured on the authors' class
MEASURED = [
    (1.4, 6.126, 588.3),
    (1.0, 3.535, 311.3),
    (0.75, 2.766, 207.9),
    (0.5, 2.152, 103.3),
    (0.35, 1.914, 75.1),
]
OFFICIAL_ENTRIES = 446

# features index: (case of the authors' code, in, hidden, out, stride) at width 1
OFFICIAL_BLOCKS = {
    1: ("A", 32, 16, 96, 2),
    2: ("D", 96, 32, 144, 1),
    3: ("C", 144, 32, 192, 2),
    **dict.fromkeys((4, 5), ("D+id", 192, 32, 192, 1)),
    6: ("C", 192, 48, 288, 2),
    **dict.fromkeys((7, 8), ("D+id", 288, 48, 288, 1)),
    9: ("B", 288, 64, 384, 1),
    **dict.fromkeys((10, 11, 12), ("D+id", 384, 64, 384, 1)),
    13: ("C", 384, 96, 576, 2),
    **dict.fromkeys((14, 15, 16), ("D+id", 576, 96, 576, 1)),
    17: ("B", 576, 160, 960, 1),
    **dict.fromkeys((18, 19), ("D+id", 960, 160, 960, 1)),
    20: ("D", 960, 208, 1280, 1),
}


def official_shapes() -> dict[str, tuple[int, ...]]:
    shapes = conv_norm("features.0", 0, (32, 3, 3, 3))
    shapes |= {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}
    for index, (case, inputs, hidden, outputs, _) in OFFICIAL_BLOCKS.items():
        path = f"features.{index}.conv"
        reduce, expand, last = (3, 5, 8) if case[0] in "AD" else (0, 2, 5)
        if case[0] in "AD":
            shapes |= conv_norm(path, 0, (inputs, 1, 3, 3))
        shapes |= conv_norm(path, reduce, (hidden, inputs, 1, 1))
        shapes |= conv_norm(path, expand, (outputs, hidden, 1, 1))
        if case != "B":
            shapes |= conv_norm(path, last, (outputs, 1, 3, 3))
    return shapes


def conv_norm(path: str, index: int, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    norm = f"{path}.{index + 1}"
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{path}.{index}.weight": shape,
        f"{norm}.num_batches_tracked": (),
        **{f"{norm}.{name}": shape[:1] for name in per_channel},
    }


def trained_like(**arguments: object) -> MobileNeXt:
    torch.manual_seed(7)
    model = mobilenext(**arguments)  # pyright: ignore[reportArgumentType]
    randomize_batch_norm(model)
    return model.double().eval()


def restated(model: MobileNeXt, image: torch.Tensor, divisor: int) -> torch.Tensor:
    """Run the network from its tensors, by the authors' case table."""
    state = model.state_dict()

    def unit(path: str, index: int, x: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
        weight = state[f"{path}.{index}.weight"]
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        x = functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{path}.{index + 1}.{name}"] for name in names))

    x = functional.relu6(unit("features.0", 0, image, stride=2))
    for index, (case, _, _, _, stride) in OFFICIAL_BLOCKS.items():
        path, y = f"features.{index}.conv", x
        reduce, expand, last = (3, 5, 8) if case[0] in "AD" else (0, 2, 5)
        if case[0] in "AD":
            y = functional.relu6(unit(path, 0, y))
        y = functional.relu6(unit(path, expand, unit(path, reduce, y)))
        if case != "B":
            y = unit(path, last, y, stride=stride)
        if case == "D+id":
            kept = x.shape[1] // divisor
            y = torch.cat([y[:, :kept] + x[:, :kept], y[:, kept:]], dim=1)
        x = y
    x = x.mean(dim=(2, 3))
    return x @ state["classifier.1.weight"].T + state["classifier.1.bias"]


@pytest.mark.parametrize(("width", "parameters", "macs"), MEASURED)
def test_measured_parameters_and_macs(width, parameters, macs):
    with torch.device("meta"):
        model = mobilenext(width).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(parameters, abs=5e-4)
    assert counter.get_total_flops() / 2e6 == pytest.approx(macs, abs=0.05)


def test_tensor_names_and_shapes_are_official():
    with torch.device("meta"):
        state = mobilenext().state_dict()
    official = official_shapes()
    assert len(official) == OFFICIAL_ENTRIES
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == official


@pytest.mark.parametrize(
    ("multiplier", "divisor"), [(1, 1), ("1/2", 2), (0.333, 3), (Fraction(1, 6), 6), ("1/5", 5)]
)
def test_forward_is_the_authors(multiplier, divisor):
    model = trained_like(width=0.35, classes=5, identity_tensor_multiplier=multiplier)
    image = torch.randn(2, 3, 65, 42, dtype=torch.float64)
    with torch.no_grad():
        expected = restated(model, image, divisor)
        torch.testing.assert_close(model(image), expected, rtol=1e-10, atol=1e-10)
    assert model.identity_tensor_multiplier == Fraction(1, divisor)


def test_multipliers_are_different_functions_of_the_same_tensors():
    full = trained_like(width=0.35, classes=5)
    half = mobilenext(0.35, classes=5, identity_tensor_multiplier="1/2").double().eval()
    half.load_state_dict(full.state_dict(), strict=True)
    image = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = full(image)
        assert (expected - half(image)).abs().max() > 1e-3 * expected.std()


def test_head_and_features_make_the_whole():
    model = trained_like(width=0.35, classes=4, in_channels=1)
    image = torch.randn(1, 1, 47, 90, dtype=torch.float64)
    with torch.no_grad():
        features = model.forward_features(image)
        assert tuple(features.shape) == (1, 1280, 2, 3)
        assert torch.equal(model.forward_head(features), model(image))


def test_it_trains():
    model = mobilenext(0.1, classes=3, identity_tensor_multiplier="1/2")
    model(torch.randn(2, 3, 33, 32)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_every_width_builds():
    for width in (0.1, 0.15, 0.35, 0.6, 1.25, 2.0):
        with torch.device("meta"):
            model = mobilenext(width, classes=2, identity_tensor_multiplier="1/6").eval()
            assert model(torch.empty(1, 3, 32, 32)).shape == (1, 2)


@pytest.mark.parametrize(
    "value",
    [
        *(0, -1, 2, "2/3", 0.4, "1/0", "half", "", None, True, float("nan"), "inf", 1e-400),
        *("1e-400", "1e-999999999", "1e999999999", "1/65537", 1e-300),
    ],
)
def test_a_multiplier_that_is_no_unit_fraction_is_refused(value):
    with pytest.raises(ValueError, match="is not 1 or 1/n; published are 1, 1/2, 1/3 and 1/6"):
        mobilenext(0.35, identity_tensor_multiplier=value)


def test_a_multiplier_that_leaves_no_channel_is_refused():
    with pytest.raises(ValueError, match="1/65 keeps none of 64 channels"):
        mobilenext(0.35, identity_tensor_multiplier="1/65")


@pytest.mark.parametrize("arguments", [{"classes": 0}, {"in_channels": 0}, {"width": 0.0}])
def test_nonsense_sizes_are_refused(arguments):
    with pytest.raises(ValueError, match=r"needs classes and in_channels|must be positive"):
        mobilenext(**arguments)


def test_the_forward_holds_the_official_in_place_form():
    block = mobilenext(0.1, identity_tensor_multiplier="1/2").features[4].eval()
    maps = torch.randn(1, block.conv[0].in_channels, 6, 5)
    graph = torch.export.export(block, (maps,)).graph
    assert sum("copy_" in str(node.target) for node in graph.nodes) == 1
