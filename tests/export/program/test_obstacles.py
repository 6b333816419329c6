"""What no artifact can be is told as what it is, at its line; modes around operators are none."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from cnn_export.errors import InputRefused
from cnn_export.program.program import capture
from cnn_export.reparam.graph.operators import operator_name, value_of

IMAGE = torch.randn(1, 3, 7, 11)


class Network(nn.Module):
    def __init__(self, body: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.conv, x)


def _noise(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return conv(x + torch.randn_like(x))


def _dropout(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return functional.dropout(conv(x), 0.2)


def _attention(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


def _suppressed(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    rows = conv(x).flatten(2)[0].T
    return rows[torchvision.ops.nms(rows[:, :4], rows[:, 4], 0.5)]


def _selected(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    rows = conv(x).flatten()
    return rows[rows > 0]


def _branch(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    y = conv(x)
    return y if y.mean() > 0 else -y


def _number(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    y = conv(x)
    return y[:, : int(y.max())]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_noise, "is random in evaluation too (aten.randn_like)"),
        (_dropout, "is random in evaluation too (aten.dropout)"),
        (_attention, "is random in evaluation too (aten.scaled_dot_product_attention)"),
        (_suppressed, "as many results as it finds (torchvision.nms)"),
        (_selected, "as many results as it finds (aten.index.Tensor)"),
    ],
)
def test_operators_are_told_at_the_line_in_forward(
    body: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor], said: str
) -> None:
    line = inspect.getsourcelines(Network.forward)[1] + 1
    assert f"Network at {__file__}:{line} " in _refusal(body)
    assert said in _refusal(body)


@pytest.mark.parametrize("body", [_branch, _number])
def test_values_are_told_at_their_line(
    body: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor],
) -> None:
    line = inspect.getsourcelines(body)[1] + 2
    assert f"Network at {__file__}:{line} cannot be traced" in _refusal(body)
    assert "branches on values that it computes, or makes a Python number of" in _refusal(body)


def _refusal(body: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor]) -> str:
    with pytest.raises(InputRefused) as caught:
        capture(Network(body), [IMAGE])
    message = str(caught.value)
    assert "\n" not in message
    assert "give a shape" not in message
    return message


def test_suppression_belongs_outside() -> None:
    with pytest.raises(InputRefused, match="up to boxes and scores, and leave suppression"):
        capture(Network(_suppressed), [IMAGE])


def _switched_off(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    y = functional.dropout(conv(x), 0.2, training=False)
    return functional.scaled_dot_product_attention(y, y, y) + functional.rrelu(y)


def test_random_operators_that_are_off_pass() -> None:
    assert capture(Network(_switched_off), [IMAGE]).outputs[0].shape == (1, 6, 5, 9)


def _half_off(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", enabled=False):
        return conv(x.float()) * 2


def _half_on(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = conv(x).relu()
        with torch.autocast("cpu", enabled=False):
            y = y.float() * torch.tensor([3.0])
    return y.float() + 1


def _half_elsewhere(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cuda"):
        return conv(x)


def _without_gradient(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y, z = conv(x), x.mean()
    return (y + z).sigmoid()


@pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (_half_off, lambda conv, x: conv(x) * 2),
        (_half_on, lambda conv, x: conv(x).relu() * 3 + 1),
        (_half_elsewhere, lambda conv, x: conv(x)),
        (_without_gradient, lambda conv, x: (conv(x) + x.mean()).sigmoid()),
    ],
)
def test_modes_are_read_through(
    body: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor],
    plain: Callable[[nn.Conv2d, torch.Tensor], torch.Tensor],
    dynamic: bool,
) -> None:
    network = Network(body)
    graph_module = capture(network, [IMAGE], dynamic_batch=dynamic).graph_module
    (result,) = graph_module(IMAGE)
    torch.testing.assert_close(result, plain(network.conv, IMAGE))
    nodes = [node for node in graph_module.graph.nodes if node.op == "call_function"]
    assert all(operator_name(node) for node in nodes)


def test_nothing_rounds_where_autocast_did() -> None:
    graph_module = capture(Network(_half_on), [IMAGE]).graph_module
    computed = [node for node in graph_module.graph.nodes if operator_name(node)]
    assert {value_of(node).dtype for node in computed} == {torch.float32}


def _half_by_hand(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return conv(x.bfloat16())


def test_half_precision_by_hand_is_refused_at_its_line() -> None:
    with pytest.raises(InputRefused, match="mixes precisions outside of autocast"):
        capture(Network(_half_by_hand), [IMAGE])
