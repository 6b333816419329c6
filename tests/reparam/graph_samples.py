"""Graphs that between them hold what the passes look for, and everything that is done to graphs."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import torch
from int8_jobs import int8_jobs
from networks import randomize_batch_norm
from pass_checks import graph_of
from torch import fx, nn
from torch.nn import functional as F

from cnn_export.program.program import capture
from cnn_export.reparam.graph.errors import ReparameterizationError
from cnn_export.reparam.pass_pipeline import PIPELINE
from cnn_export.reparam.passes.affine.normalize_pixels import NormalizePixels
from cnn_export.reparam.passes.equalize.equalize_layers import EqualizeLayers
from cnn_export.reparam.passes.legalize.half_precision import HalfPrecision
from cnn_export.reparam.passes.legalize.hard_sigmoid_in_layer import HardSigmoidInLayer
from cnn_export.reparam.passes.legalize.pools.average_pools_as_convolutions import (
    AveragePoolsAsConvolutions,
)
from cnn_export.reparam.passes.partial_shortcuts import carry_split
from cnn_export.reparam.passes.partial_shortcuts.approximate_shortcuts import (
    drop_shortcuts,
    shorten_shortcuts,
)
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.reparam.stage import map_input, narrow_graph, reparameterize_graph
from cnn_export.targets.diagnosis import unknown_operators
from cnn_export.targets.isolation import failing_operators
from cnn_export.targets.legalizations import COREML, EXECUTORCH, ONNX, TFLITE

aten = torch.ops.aten
Job = Callable[[], object]


class Shortcuts(nn.Module):
    """Slices, partial shortcuts in every spelling, normalization, borders, pools and gates."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.side = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.norm, self.slope = nn.BatchNorm2d(8), nn.PReLU(8)
        self.register_buffer("value", torch.randn(8))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.pad(self.norm(self.conv(image)), (1, 1, 1, 1))
        y = self.side(x) + F.hardsigmoid(x)
        y = torch.cat([y[:, :4] + x[:, :4], y[:, 4:]], 1) + torch.sigmoid(y[:, :4]).repeat(
            1, 2, 1, 1
        )
        y = y + F.pad(x[:, :3], (0, 0, 0, 0, 0, 5))
        y = torch.slice_scatter(y, y[:, 2:5] + x[:, 2:5], 1, 2, 5)
        y = self.value.view(1, -1, 1, 1) + self.slope(y)
        y = F.max_pool2d(F.relu6(y), 3, 2, 1, ceil_mode=True) * 2
        return F.avg_pool2d(y, 2).flatten(1) + y.mean((2, 3)).sum()


class Written(nn.Module):
    """Writes in place: through slices, selections, permutations, and a border around a map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.register_buffer("value", torch.tensor([0.5, -1.25, 2.0, 0.1]))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = image.clone()
        y[:, :1] += image[:, 1:2]
        y[:, 2] = image[:, 0]
        y.permute(0, 2, 3, 1)[..., 1:2].mul_(2)
        z = F.pad(self.conv(F.relu_(y)), (1, 1, 1, 1))
        z[:, :, :1] = self.value.view(1, -1, 1, 1)
        z[:, :, -1:] = self.value.view(1, -1, 1, 1)
        z[..., :1] = self.value.view(1, -1, 1, 1)
        z[..., -1:] = self.value.view(1, -1, 1, 1)
        return z, y.view(1, -1)


class Spellings(nn.Module):
    """Operators that do nothing, indices, splits, computed weights, and what is decomposed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 6, 3, stride=(2, 1), padding=1, groups=2)
        self.same = nn.Conv2d(6, 6, 3, padding="same")
        self.instance = nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
        self.norm, self.head = nn.BatchNorm2d(6), nn.Linear(6, 5)
        self.register_buffer("index", torch.tensor([0, 1, 4]))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first, second = F.dropout(image, 0.5, self.training).split(2, 1)
        x = torch.cat([first.narrow(1, 0, 1), first[:, 1:], second], 1).permute(0, 1, 2, 3)
        x = F.interpolate(self.instance(self.same(self.conv(x))).transpose(1, 1), scale_factor=1)
        x = self.norm(x) + F.conv2d(x, self.conv.weight[:, :1, :1, :1].exp() * 2, groups=6)
        y = x.clone()
        y[:, self.index] = x[:, self.index] * 2
        x = F.adaptive_avg_pool2d(self.norm(F.interpolate(y, scale_factor=2)), 1)
        x = aten.copy(x, F.max_pool2d(self.norm(x), 1))
        return self.head(F.relu(torch.slice_copy(x, 1, 0, 6)).flatten(1)) @ self.head.weight[:, :4]


class Layers(nn.Module):
    """Layer after layer with clips between, as equalization and int8 take them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 5, 1)
        self.third, self.gate = nn.Linear(5, 4), nn.Linear(4, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.relu6(self.second(F.relu6(self.first(image)))).mean((2, 3), keepdim=True)
        x = self.third(x.flatten(1))
        return F.hardsigmoid(self.gate(x * F.relu6(x + 3) / 6))


class Undelegated(nn.Module):
    """What XNNPACK leaves outside: selections, steps, crops, counted padding, long joins."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.avg_pool2d(F.pad(image, (-1, 2)), 3, 2, 1)
        return torch.cat([*(x * factor for factor in range(6)), x[:, ::2], x[:, 1:2]], 1)[:, :, 1]


class Decoder(nn.Module):
    """What moves pixels: phases, resizes, borders, transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.squares, self.rows = nn.Conv2d(16, 4, 1), nn.Conv2d(8, 4, 1)
        self.wide = nn.ConvTranspose2d(4, 8, 3, 2, 1, 1)
        self.deep = nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.pad(F.interpolate(image, scale_factor=2), (1, 2, 3, 3), "reflect")
        x = F.interpolate(F.pad(x, (5, 5, 5, 5), "reflect"), size=(5, 6), mode="bicubic")
        x = self.deep(self.wide(x).clamp(0, 1))[:, :4]
        x = self.rows(torch.cat([x[:, :, ::2], x[:, :, 1::2]], 1))
        return self.squares(F.pixel_unshuffle(x, 2))


class Arithmetic(nn.Module):
    """Attention, norms, reductions, powers and activations, on images, tokens and lines."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.Sequential(nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.GroupNorm(1, 4))
        self.smooth = nn.Sequential(nn.Softplus(), nn.LogSigmoid(), nn.Mish(), nn.ELU(), nn.SELU())
        self.line = nn.Sequential(nn.Conv1d(4, 4, 3), nn.ReLU(), nn.MaxPool1d(2), nn.CELU())
        self.token, self.response = nn.LayerNorm(63), nn.LocalResponseNorm(3)
        self.shift, self.slope = nn.Parameter(torch.randn(1, 4, 1)), nn.PReLU(4)
        self.register_buffer("mask", torch.ones(4, 4).tril() > 0)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.response(self.smooth(self.norms(image))).abs() ** 1.5 + 1
        x = x * (F.normalize(x, dim=1) + x.max(1, keepdim=True)[0]) + x.amax((2, 3), True)
        tokens = self.token(x.flatten(2))
        tokens = F.scaled_dot_product_attention(tokens, tokens, tokens, self.mask)
        scores = tokens.unsqueeze(1) @ tokens.unsqueeze(1).transpose(-2, -1)
        line = self.line(tokens) + self.shift
        line = torch.cat([line, line], 1).mean(-1, keepdim=True)
        large = F.pad(x, (40, 40, 40, 40)).mean((2, 3))
        return self.slope(large + x.sum((2, 3))), scores.mean(-1).flatten(1) * line.mean()


class _Stage(nn.Module):
    """Sand glasses whose shortcuts cover some channels: carried in parts as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 12, 3, stride=2), nn.Conv2d(12, 4, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.PReLU(12), nn.Conv2d(12, 5, 1),
                nn.Conv2d(5, 12, 1), nn.ReLU6(), nn.Conv2d(12, 12, 3, padding=1, groups=12),
            )
            for _ in range(2)
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.stem(image)
        for block in self.blocks:
            y = block(x)
            x = torch.cat([y[:, :8] + x[:, :8], y[:, 8:]], 1)
        return self.head(x)


class _Wrong(ProgramPass):
    """Doubles a weight: what the proof has to find."""

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        node = next(each for each in graph_module.graph.nodes if each.op == "output")
        if "doubled" in node.meta:
            return PassResult(self.name)
        node.meta["doubled"] = True
        with torch.no_grad():
            stored = graph_module.state_dict().values()
            next(each for each in stored if each.is_floating_point()).mul_(2)
        return PassResult(self.name, (node.name,))


def samples() -> list[fx.GraphModule]:
    """Return the graphs."""
    torch.manual_seed(3)
    found = [graph_of(_seen(module), torch.randn(1, c, 7, 9)) for module, c in _NETWORKS]
    found += [_decomposed(_seen(Spellings()), torch.randn(1, 4, 7, 9))]
    found += [graph_of(_seen(Layers()), torch.randn(16, 3, 7, 9), dynamic=True)]
    return found


_NETWORKS: tuple[tuple[nn.Module, int], ...] = (
    *((Shortcuts(), 3), (Written(), 3)),
    *((Spellings(), 4), (Layers(), 3), (_Stage(), 3), (Undelegated(), 4)),
    *((Decoder(), 4), (Arithmetic(), 4)),
)


def _seen(module: nn.Module) -> nn.Module:
    randomize_batch_norm(module)
    return module


def _decomposed(module: nn.Module, image: torch.Tensor) -> fx.GraphModule:
    exported = torch.export.export(module.eval(), (image,), strict=False).run_decompositions()
    core = exported.module(check_guards=False)
    return capture(fx.GraphModule(core, core.graph), (image,), dynamic_batch=False).graph_module


def jobs(sample: fx.GraphModule) -> Iterator[Job]:
    """Yield everything that is done to a graph, each on a copy of its own."""
    done = copy.deepcopy(sample)
    with contextlib.suppress(ReparameterizationError):
        reparameterize_graph(done)
    legalizing = _legalizing()
    for graph_module, passes in ((sample, [*_PIPELINE, *legalizing]), (done, legalizing)):
        for each in passes:
            yield _bound(each, copy.deepcopy(graph_module))
    for work in (_reparameterized, _approximated, _dropped, _halved, _normalized, _refused):
        yield _bound(work, copy.deepcopy(sample))


def diagnoses() -> Iterator[Job]:
    """Yield what the targets ask of a program that a converter did not take."""
    program = capture(Layers().eval(), (torch.randn(1, 3, 7, 9),), dynamic_batch=False)
    yield lambda: failing_operators(program, lambda _: None)
    yield lambda: unknown_operators(program.graph_module.graph, lambda _: False, "is unknown")


def quantized() -> Iterator[Job]:
    """Yield what an int8 job does, with layers alone and with shortcuts and pools."""
    torch.manual_seed(4)
    yield from int8_jobs(Layers(), (torch.randn(16, 3, 7, 9),))
    yield from int8_jobs(_seen(Shortcuts()), (torch.randn(2, 3, 7, 9),))


_PIPELINE = [each.program_pass for each in PIPELINE]


def _legalizing() -> list[ProgramPass]:
    targets = (COREML, EXECUTORCH, ONNX, TFLITE)
    found = {each.program_pass.name: each.program_pass for t in targets for each in t.passes}
    return [*found.values(), EqualizeLayers(), HardSigmoidInLayer(), AveragePoolsAsConvolutions()]


def _bound(work: Callable[[fx.GraphModule], Any], graph_module: fx.GraphModule) -> Job:
    return lambda: work(graph_module)


def _reparameterized(graph_module: fx.GraphModule) -> None:
    reparameterize_graph(graph_module)


def _approximated(graph_module: fx.GraphModule) -> None:
    shorten_shortcuts(graph_module, Fraction(1, 2))


def _dropped(graph_module: fx.GraphModule) -> None:
    drop_shortcuts(graph_module)


def _halved(graph_module: fx.GraphModule) -> None:
    narrow_graph(graph_module, HalfPrecision(), dtype=torch.float16)
    with contextlib.suppress(ReparameterizationError):
        reparameterize_graph(graph_module)


def _normalized(graph_module: fx.GraphModule) -> None:
    scale, offset = torch.tensor([2.0]), torch.tensor([-1.0])
    map_input(graph_module, NormalizePixels(scale, offset), lambda x: x * 2 - 1)


def _refused(graph_module: fx.GraphModule) -> None:
    with contextlib.suppress(ReparameterizationError):
        reparameterize_graph(graph_module, (_Wrong(),))


FREE_OPERATORS = (carry_split, "OPERATOR_BYTES", 0)
"""For ``monkeypatch.setattr``: small images must not be refused for the operators added."""
