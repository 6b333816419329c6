import pytest
import torch
from torch import nn
from torch.nn import functional

from cnn_export.program.program import capture
from cnn_export.reparam.passes.canonical.canonical_averages import CanonicalAverages


class Pooled(nn.Module):
    def __init__(self, **pool: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.pool = nn.AvgPool2d(**pool)  # pyright: ignore[reportArgumentType]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.conv(x))


class Averaged(nn.Module):
    def __init__(self, *dims: int, keepdim: bool = False) -> None:
        super().__init__()
        self.dims, self.keepdim = dims, keepdim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x).mean(self.dims, self.keepdim)


class Converting(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x).mean((2, 3), dtype=torch.float64)


def calls(graph_module: torch.fx.GraphModule) -> list[str]:
    return [str(n.target) for n in graph_module.graph.nodes if n.op == "call_function"]


@pytest.mark.parametrize(
    "pool",
    [
        {"kernel_size": 2},
        {"kernel_size": (3, 2), "stride": (2, 1)},
        {"kernel_size": 2, "divisor_override": 3},
        # Padded by 1, the map is 13 high and 10 wide: windows of 3 in steps of 2, or of 1.
        {
            "kernel_size": 3,
            "stride": (2, 1),
            "padding": 1,
            "ceil_mode": True,
            "count_include_pad": False,
        },
    ],
)
def test_padding_that_does_not_exist_is_not_counted(pool: dict[str, object]) -> None:
    module, image = Pooled(**pool).eval(), torch.randn(1, 3, 13, 10)
    program = capture(module, (image,))
    assert CanonicalAverages()(program.graph_module).modified
    (node,) = program.graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.avg_pool2d.default
    )
    assert node.args[5] is False
    double = program.graph_module.double()(image.double())[0]
    torch.testing.assert_close(double, module.double()(image.double()), rtol=0, atol=1e-14)
    assert not CanonicalAverages()(program.graph_module).modified


@pytest.mark.parametrize(
    "pool",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "ceil_mode": True},
        {"kernel_size": 2, "count_include_pad": False},
    ],
)
def test_other_pools_stay(pool: dict[str, object]) -> None:
    program = capture(Pooled(**pool).eval(), (torch.randn(1, 3, 12, 9),))
    before = calls(program.graph_module)
    assert not CanonicalAverages()(program.graph_module).modified
    assert calls(program.graph_module) == before


@pytest.mark.parametrize("dims", [(2, 3), (-1, -2), (3, 2)])
@pytest.mark.parametrize("dynamic", [False, True])
def test_spatial_mean_keeps_its_dimensions_until_flattened(
    dims: tuple[int, ...], dynamic: bool
) -> None:
    module = Averaged(*dims).eval()
    program = capture(module, (torch.randn(1, 4, 7, 5),), dynamic_batch=dynamic)
    assert CanonicalAverages()(program.graph_module).modified
    assert calls(program.graph_module)[1:] == ["aten.mean.dim", "aten.flatten.using_ints"]
    images = torch.randn(3 if dynamic else 1, 4, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(program.graph_module(images)[0], module(images), rtol=0, atol=1e-14)
    assert program.exported is not None


@pytest.mark.parametrize("module", [Averaged(2), Averaged(1, 2, 3), Averaged(2, 3, keepdim=True)])
def test_other_means_stay(module: nn.Module) -> None:
    program = capture(module.eval(), (torch.randn(1, 4, 7, 5),))
    assert not CanonicalAverages()(program.graph_module).modified


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Pooled(kernel_size=3, padding=1), "its averages count a padding of 1x1"),
        (Pooled(kernel_size=3, padding=(0, 1)), "its averages count a padding of 0x1"),
        (
            Pooled(kernel_size=3, ceil_mode=True, count_include_pad=False),
            "it rounds its size up: its last windows reach beyond the map",
        ),
        (Converting(), "it converts to torch.float64"),
    ],
)
def test_refuses(module: nn.Module, reason: str) -> None:
    program = capture(module.eval(), (torch.randn(1, 3, 12, 9),))
    result = CanonicalAverages()(program.graph_module)
    assert not result.modified
    assert [each.reason for each in result.refusals] == [reason]


def test_rounding_up_goes_where_the_windows_fit() -> None:
    module = Pooled(kernel_size=2, ceil_mode=True).eval()
    program = capture(module, (torch.randn(1, 3, 12, 8),))
    assert CanonicalAverages()(program.graph_module).refusals == ()
    (node,) = program.graph_module.graph.find_nodes(
        op="call_function", target=torch.ops.aten.avg_pool2d.default
    )
    assert node.args[4] is False
    image = torch.randn(1, 3, 12, 8)
    torch.testing.assert_close(program.graph_module(image)[0], module(image), rtol=0, atol=1e-6)
