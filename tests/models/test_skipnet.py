"""SkipNet against the published figures, the official tensor names and a pooling restated."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cnn_export.models.families.skipnet import SkipNet, pool_to, skipnet

# path: (in, expanded, out, kernel, squeeze-excite hidden), as measured on the authors' class
OFFICIAL_BLOCKS = {
    "base_block": (16, 16, 16, 3, None),
    "blocks.0.0": (16, 64, 24, 3, None),
    "blocks.0.1": (24, 72, 24, 3, None),
    "blocks.0.2": (24, 72, 40, 5, 24),
    "blocks.0.3": (40, 120, 40, 5, 32),
    "blocks.0.4": (40, 240, 40, 5, 64),
    "blocks.1.0": (40, 240, 80, 3, None),
    "blocks.1.1": (80, 200, 80, 3, None),
    "blocks.1.2": (80, 184, 80, 3, None),
    "blocks.1.3": (80, 184, 80, 3, None),
    "blocks.2.0": (80, 480, 112, 3, 120),
    "blocks.2.1": (112, 672, 112, 3, 168),
    "blocks.3.0": (112, 672, 160, 5, 168),
    "blocks.3.1": (160, 960, 160, 5, 240),
    "blocks.3.2": (160, 960, 160, 5, 240),
}
OFFICIAL_SKIPS = {"skip1": (16, 96, 40, 5), "skip2": (16, 40, 80, 3)}
OFFICIAL_RELU_BLOCKS = {"blocks.0.0", "blocks.0.1", "blocks.0.2", "blocks.0.3"}
OFFICIAL_PARAMETERS = 5_532_000
OFFICIAL_MACS = 236_600_000
OFFICIAL_ENTRIES = 354


def official_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {
        "classifier.0.weight": (1280, 960),
        "classifier.0.bias": (1280,),
        "classifier.3.weight": (1000, 1280),
        "classifier.3.bias": (1000,),
    }
    shapes |= conv_norm("first_layer.0", "first_layer.1", (16, 3, 3, 3))
    shapes |= conv_norm("conv.0", "conv.1", (960, 160, 1, 1))
    for path, (inputs, hidden, outputs, kernel, squeezed) in OFFICIAL_BLOCKS.items():
        shapes |= bottleneck(f"{path}.conv", inputs, hidden, outputs, kernel, project=7)
        if squeezed:
            shapes[f"{path}.conv.6.fc.0.weight"] = (squeezed, hidden)
            shapes[f"{path}.conv.6.fc.0.bias"] = (squeezed,)
            shapes[f"{path}.conv.6.fc.2.weight"] = (hidden, squeezed)
            shapes[f"{path}.conv.6.fc.2.bias"] = (hidden,)
    for path, (inputs, hidden, outputs, kernel) in OFFICIAL_SKIPS.items():
        shapes |= bottleneck(f"{path}.core_block", inputs, hidden, outputs, kernel, project=6)
    return shapes


def bottleneck(
    path: str, inputs: int, hidden: int, outputs: int, kernel: int, project: int
) -> dict[str, tuple[int, ...]]:
    return {
        **conv_norm(f"{path}.0", f"{path}.1", (hidden, inputs, 1, 1)),
        **conv_norm(f"{path}.3", f"{path}.4", (hidden, 1, kernel, kernel)),
        **conv_norm(f"{path}.{project}", f"{path}.{project + 1}", (outputs, hidden, 1, 1)),
    }


def conv_norm(conv: str, norm: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    per_channel = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{conv}.weight": shape,
        f"{norm}.num_batches_tracked": (),
        **{f"{norm}.{name}": shape[:1] for name in per_channel},
    }


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def meta_skipnet(**arguments: float) -> SkipNet:
    with torch.device("meta"):
        return skipnet(**arguments)  # pyright: ignore[reportArgumentType]


def trained_like(seed: int = 0, **arguments: float) -> SkipNet:
    """Return a float64 network in eval whose batch norms are no identities."""
    torch.manual_seed(seed)
    model = skipnet(**arguments)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model.double().eval()


def restated_224(model: SkipNet, image: torch.Tensor) -> torch.Tensor:
    """Run the authors' forward for 224: pools fixed to 28 and 14, activations by hand."""

    def hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
        return functional.relu6(x + 3) / 6

    def run(layers: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        for layer in layers:
            if isinstance(layer, nn.Hardswish):
                x = x * hard_sigmoid(x)
            elif isinstance(layer, nn.Hardsigmoid):
                x = hard_sigmoid(x)
            elif hasattr(layer, "fc"):
                x = x * run(layer.fc, x.mean(dim=(2, 3)))[..., None, None]
            elif hasattr(layer, "conv"):
                y = run(layer.conv, x)
                x = x + y if y.shape == x.shape else y
            else:
                x = layer(x)
        return x

    def skip(block: nn.Module, size: int) -> torch.Tensor:
        return run(block.core_block, functional.adaptive_avg_pool2d(base, size))

    base = run(nn.Sequential(model.base_block), run(model.first_layer, image))
    x = run(model.blocks[0], base) + skip(model.skip1, 28)
    x = run(model.blocks[1], x) + skip(model.skip2, 14)
    x = run(model.conv, run(model.blocks[3], run(model.blocks[2], x)))
    return run(model.classifier, x.mean(dim=(2, 3)))


def test_published_parameters_and_macs():
    model = meta_skipnet().eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(OFFICIAL_PARAMETERS, abs=500)
    assert counter.get_total_flops() / 2 == pytest.approx(OFFICIAL_MACS, abs=50_000)


def test_tensor_names_and_shapes_are_official():
    official = official_shapes()
    assert len(official) == OFFICIAL_ENTRIES
    assert shapes_of(meta_skipnet()) == official


def test_activations_are_official():
    model = meta_skipnet()
    expected = {"first_layer.2": nn.Hardswish, "conv.2": nn.Hardswish, "classifier.1": nn.Hardswish}
    for path in OFFICIAL_BLOCKS:
        kind = nn.ReLU if path in OFFICIAL_RELU_BLOCKS else nn.Hardswish
        expected |= {f"{path}.conv.2": kind, f"{path}.conv.5": kind}
        if f"{path}.conv.6.fc" in dict(model.named_modules()):
            expected |= {f"{path}.conv.6.fc.1": nn.ReLU, f"{path}.conv.6.fc.3": nn.Hardsigmoid}
    for path in OFFICIAL_SKIPS:
        expected |= {f"{path}.core_block.2": nn.ReLU, f"{path}.core_block.5": nn.ReLU}
    kinds = (nn.ReLU, nn.Hardswish, nn.Hardsigmoid)
    found = {path: type(m) for path, m in model.named_modules() if isinstance(m, kinds)}
    assert found == expected


def test_official_checkpoint_loads_strictly():
    official = {
        name: torch.zeros(shape, dtype=torch.int64 if not shape else torch.float32)
        for name, shape in official_shapes().items()
    }
    model = skipnet()
    model.load_state_dict(official, strict=True)
    assert not any(tensor.any() for tensor in model.state_dict().values())


def test_equals_fixed_pooling_at_224():
    model = trained_like(width=0.25, classes=5)
    image = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    with torch.inference_mode():
        expected = restated_224(model, image)
        torch.testing.assert_close(model(image), expected, rtol=1e-9, atol=1e-12)
    assert expected.std() > 0


@pytest.mark.parametrize("size", [(32, 32), (17, 17), (33, 97), (64, 48), (225, 161), (17, 224)])
def test_every_sensible_size_runs_and_pools_follow_the_main_path(size):
    model = trained_like(width=0.1, classes=3)
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        features = model.forward_features(image)
        logits = model(image)
    assert tuple(features.shape[2:]) == tuple(-(-edge // 32) for edge in size)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(model.forward_head(features), logits)


@pytest.mark.parametrize(
    ("size", "target"),
    [((112, 112), (28, 28)), ((9, 15), (3, 5)), ((9, 15), (5, 4)), ((7, 8), (2, 8))],
)
def test_pool_to_equals_the_adaptive_pool(size, target):
    maps = torch.randn(2, 3, *size, dtype=torch.float64)
    expected = functional.adaptive_avg_pool2d(maps, target)
    torch.testing.assert_close(pool_to(maps, target), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("size", "plain_pools"), [((224, 224), 2), ((32, 64), 2), ((34, 50), 0)])
def test_skip_pools_trace_to_plain_pools_where_sizes_divide(size, plain_pools):
    model = skipnet(width=0.1, classes=3).eval()
    exported = torch.export.export(model, (torch.randn(1, 3, *size),))
    targets = [str(node.target) for node in exported.graph.nodes]
    assert targets.count("aten.avg_pool2d.default") == plain_pools


def test_exports_with_a_dynamic_batch():
    model = trained_like(width=0.1, classes=3)
    batch = torch.export.Dim("batch", min=1, max=8)
    example = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    exported = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    image = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(exported.module()(image), model(image))


@pytest.mark.parametrize("size", [(16, 16), (224, 16), (1, 300)])
def test_too_small_an_image_names_the_smallest(size):
    with pytest.raises(ValueError, match=rf"at least 17x17, got {size[0]}x{size[1]}"):
        skipnet(width=0.1)(torch.zeros(1, 3, *size))


def test_every_width_builds_and_runs():
    """All twentieths are built in test_skipnet_detect; running is what takes time."""
    for step in range(2, 41, 2):
        width = step / 20
        model = meta_skipnet(width=width, classes=7, in_channels=4).eval()
        logits = model(torch.empty(2, 4, 32, 32, device="meta"))
        assert logits.shape == (2, 7), width


@pytest.mark.parametrize(
    "arguments",
    [{"width": 0}, {"width": -1.0}, {"width": float("nan")}, {"classes": 0}, {"in_channels": 0}],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"positive|needs classes"):
        skipnet(**arguments)
