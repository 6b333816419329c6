"""``cnn_export.reparameterize``: what comes back is an ordinary module that is called the same."""

from __future__ import annotations

import copy
import io
import math
import pickle
from collections import OrderedDict
from typing import Any

import networks
import pytest
import torch
from pass_checks import operators
from torch import fx, nn

import cnn_export
from cnn_export.errors import ExportError, InputRefused, UsageError
from cnn_export.program.program import capture
from cnn_export.reparam import ReparameterizationError
from cnn_export.reparam.graph.surgery import insert_constant
from cnn_export.reparam.passes.affine.fold_affine_into_producer import FoldAffineIntoProducer
from cnn_export.reparam.program_pass import PassResult, ProgramPass

IMAGE = torch.randn(1, 3, 17, 24, generator=torch.Generator().manual_seed(1))
MASK = torch.randn(1, 1, 9, 12, generator=torch.Generator().manual_seed(2))


def _close(actual: Any, expected: Any, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def _unpickled(graph_module: fx.GraphModule) -> fx.GraphModule:
    return pickle.loads(pickle.dumps(graph_module))  # noqa: S301 - our own bytes


@pytest.fixture
def two() -> tuple[nn.Module, fx.GraphModule]:
    module = networks.two_in_two_out()
    return module, cnn_export.reparameterize(module, (IMAGE, MASK))[0]


def test_folds_and_reports() -> None:
    graph_module, report = cnn_export.reparameterize(networks.two_in_two_out(), (IMAGE, MASK))
    assert "batch_norm" not in operators(graph_module)
    assert {each.name for each in report.passes if each.rewrites} >= {"FoldAffineIntoProducer"}
    assert report.proof is not None
    assert report.proof.relative_error < 1e-12


def test_inputs_go_by_position_or_name(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = two
    expected = module(IMAGE, MASK)
    for actual in (graph_module(IMAGE, MASK), graph_module(mask=MASK, image=IMAGE)):
        assert type(actual) is dict
        assert list(actual) == ["logits", "features"]
        _close(actual, expected)


def test_examples_go_by_name_too() -> None:
    module = networks.two_in_two_out()
    graph_module, _ = cnn_export.reparameterize(module, {"mask": MASK, "image": IMAGE})
    _close(graph_module(IMAGE, MASK), module(IMAGE, MASK))


class Returning(nn.Module):
    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.conv, self.norm, self.wrap = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), wrap

    def forward(self, input: torch.Tensor, scale: float = 2.0) -> Any:
        return self.wrap(self.norm(self.conv(input)) * scale)


STRUCTURES = {
    "tensor": lambda y: y,
    "tuple of one": lambda y: (y,),
    "list with nothing": lambda y: [None, y, (y * 2, None)],
    "ordered": lambda y: OrderedDict(b=y, a={"deep": [y + 1]}),
}


@pytest.mark.parametrize("wrap", STRUCTURES.values(), ids=STRUCTURES.keys())
def test_outputs_keep_their_structure(wrap: Any) -> None:
    module = networks.seeded(Returning(wrap))
    graph_module, _ = cnn_export.reparameterize(module, IMAGE)
    expected, actual = module(IMAGE), graph_module(input=IMAGE)
    assert torch.utils._pytree.tree_structure(actual) == torch.utils._pytree.tree_structure(
        expected
    )
    pairs = zip(
        torch.utils._pytree.tree_leaves(actual),
        torch.utils._pytree.tree_leaves(expected),
        strict=True,
    )
    for a, b in pairs:
        assert (a is None) == (b is None)
        if a is not None:
            _close(a, b)


def test_the_module_given_stays_as_it_was() -> None:
    module = networks.two_in_two_out().train()
    module.norm.eval()
    before = {name: (t, t.clone()) for name, t in module.state_dict(keep_vars=True).items()}
    graph_module, _ = cnn_export.reparameterize(module, (IMAGE, MASK))
    assert (module.training, module.norm.training, module.head.training) == (True, False, True)
    for tensor in graph_module.state_dict().values():
        tensor.zero_()
    after = module.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[n] is t and torch.equal(t, copied) for n, (t, copied) in before.items())


@pytest.mark.parametrize("module", [nn.Conv2d(3, 4, 3), networks.small_net().double()])
def test_no_tensor_is_shared(module: nn.Module) -> None:
    """Neither where nothing fires, nor in float64, where no cast makes a copy."""
    given = {tensor.data_ptr() for tensor in module.state_dict().values()}
    image = IMAGE.to(next(module.parameters()).dtype)
    graph_module, _ = cnn_export.reparameterize(module, image)
    assert given
    assert not given & {tensor.data_ptr() for tensor in graph_module.state_dict().values()}


def test_modes_come_back_after_a_refusal_too() -> None:
    module = networks.two_in_two_out().train()
    with pytest.raises(InputRefused):
        cnn_export.reparameterize(module, (IMAGE, MASK[:, :, :3]))
    assert all(each.training for each in module.modules())


def test_state_goes_from_one_copy_to_another(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = two
    stored = io.BytesIO()
    torch.save(graph_module.state_dict(), stored)
    stored.seek(0)
    other = copy.deepcopy(graph_module)
    for tensor in other.state_dict().values():
        tensor.zero_()
    assert not torch.equal(other(IMAGE, MASK)["logits"], graph_module(IMAGE, MASK)["logits"])
    other.load_state_dict(torch.load(stored, weights_only=True))
    _close(other(IMAGE, MASK), module(IMAGE, MASK))


def test_a_whole_module_survives_pickling(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = two
    _close(_unpickled(graph_module)(mask=MASK, image=IMAGE), module(IMAGE, MASK))


def test_goes_to_double_and_half(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = two
    double = copy.deepcopy(graph_module).double()(IMAGE.double(), MASK.double())
    assert double["logits"].dtype == torch.float64
    # The weights were rounded to float32 once, so float64 agrees to float32's precision.
    _close(double, copy.deepcopy(module).double()(IMAGE.double(), MASK.double()), 1e-6)
    half = copy.deepcopy(graph_module).half()(IMAGE.half(), MASK.half())
    assert half["logits"].dtype == torch.float16
    _close(half["features"].float(), module(IMAGE, MASK)["features"], 2e-2)


def test_exports_again(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = two
    exported = torch.export.export(graph_module, (IMAGE, MASK)).module()
    _close(exported(IMAGE, MASK), module(IMAGE, MASK))
    again, report = cnn_export.reparameterize(graph_module, (IMAGE, MASK))
    assert not report.modified
    _close(again(IMAGE, MASK), module(IMAGE, MASK))


def test_gradients_are_those_of_the_module(two: tuple[nn.Module, fx.GraphModule]) -> None:
    module, graph_module = (each.double() for each in two)
    image, mask = IMAGE.double(), MASK.double()
    graph_module.train()
    for network in (module, graph_module):
        network(image, mask)["logits"].square().sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in graph_module.parameters())
    _close(graph_module.head.weight.grad, module.head.weight.grad, 1e-6)
    # dL/dW = dL/dW' * gamma/sigma where W' = W * gamma/sigma is the folded weight.
    norm = module.norm
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = graph_module.image_conv_folded_weight.grad * factor.view(-1, 1, 1, 1)
    _close(folded, module.image_conv.weight.grad, 1e-6)


def test_a_step_of_training_lowers_the_loss(two: tuple[nn.Module, fx.GraphModule]) -> None:
    _, graph_module = two
    optimizer = torch.optim.SGD(graph_module.train().parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        loss = graph_module(IMAGE, MASK)["logits"].square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[1] > losses[2]


def test_frozen_parameters_stay_frozen() -> None:
    module = networks.two_in_two_out()
    module.head.requires_grad_(False)
    graph_module, _ = cnn_export.reparameterize(module, (IMAGE, MASK))
    wanted = {n: p.requires_grad for n, p in graph_module.named_parameters()}
    assert not wanted["head.weight"]
    assert wanted["image_conv_folded_weight"]
    assert wanted["mask_conv.weight"]
    frozen, _ = cnn_export.reparameterize(module.requires_grad_(False), (IMAGE, MASK))
    assert not any(p.requires_grad for p in frozen.parameters())


def test_tied_tensors_stay_tied() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1))
    module[2].weight = module[0].weight
    graph_module, report = cnn_export.reparameterize(module, IMAGE)
    assert report.after.parameters == 9 + 6
    assert sum(p.numel() for p in graph_module.parameters()) == 9 + 6
    _close(graph_module(IMAGE), module(IMAGE))


def test_a_dynamic_batch_stays_free() -> None:
    module = networks.two_in_two_out()
    graph_module, _ = cnn_export.reparameterize(module, (IMAGE, MASK), dynamic_batch=True)
    images, masks = torch.cat([IMAGE, -IMAGE, IMAGE * 2]), torch.cat([MASK, MASK, -MASK])
    _close(graph_module(images, masks), module(images, masks))
    with pytest.raises(InputRefused, match=r"'mask' has shape 3x1x9x11.*Nx1x9x12"):
        graph_module(images, masks[..., 1:])


def test_another_shape_is_refused_also_by_a_copy(two: tuple[nn.Module, fx.GraphModule]) -> None:
    for graph_module in (two[1], copy.deepcopy(two[1]), _unpickled(two[1])):
        with pytest.raises(InputRefused, match=r"'image' has shape 2x3x17x24.*for 1x3x17x24"):
            graph_module(torch.cat([IMAGE, IMAGE]), MASK)


@pytest.mark.parametrize("form", ["program", "exported", "unlifted"])
def test_takes_captured_forms_and_leaves_them_alone(form: str) -> None:
    module = networks.two_in_two_out()
    exported = torch.export.export(module, (IMAGE, MASK))
    program = capture(module, (IMAGE, MASK))
    code = program.graph_module.code
    if form == "program":
        graph_module, report = cnn_export.reparameterize(program)
    else:
        source = exported if form == "exported" else exported.module()
        graph_module, report = cnn_export.reparameterize(source, (IMAGE, MASK))
    assert report.modified
    assert program.graph_module.code == code
    _close(graph_module(image=IMAGE, mask=MASK), module(IMAGE, MASK))
    _close(program.graph_module(IMAGE, MASK)[0], module(IMAGE, MASK)["logits"])


class Keeping(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.conv(image)


class Deciding(nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.relu() if image.sum() > 0 else image


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (Keeping(), (IMAGE,), "forward writes to calls; .* keeps state"),
        (Deciding(), (IMAGE,), "Deciding at .*test_public_api.py:.*data-dependent"),
        (networks.SmallNet(), None, "SmallNet is traced on example inputs"),
        (networks.SmallNet(), ([IMAGE],), "example input 0 is a list; give tensors"),
        (networks.SmallNet(), {"imgae": IMAGE}, "no argument 'imgae'. Did you mean 'image'"),
        (networks.TwoInTwoOut(), {"mask": MASK}, "lack 'image'"),
        (networks.SmallNet().to("meta"), (IMAGE,), "conv.weight is on meta; move the network"),
        (networks.SmallNet(), (IMAGE[:, :2],), "fails at input 1x2x17x24"),
        (capture(networks.small_net(), (IMAGE,)), (IMAGE,), "a program has its own inputs"),
    ],
)
def test_refusals(module: Any, inputs: Any, message: str) -> None:
    with pytest.raises(InputRefused, match=message) as caught:
        cnn_export.reparameterize(module, inputs)
    assert "\n" not in str(caught.value)


def test_state_is_not_changed_by_its_refusal() -> None:
    module = Keeping()
    with pytest.raises(InputRefused):
        cnn_export.reparameterize(module, IMAGE)
    assert module.calls.item() == 0


class Doubling(ProgramPass):
    """A broken pass: doubles the first convolution's weight, once."""

    def rewrite(self, graph_module: fx.GraphModule) -> PassResult:
        node = next(n for n in graph_module.graph.nodes if "conv2d" in n.name)
        if node.args[1].target == "doubled":
            return PassResult(self.name)
        weight = graph_module.get_parameter(node.args[1].target).detach()
        doubled = insert_constant(graph_module, "doubled", weight * 2, before=node, like=node)
        node.update_arg(1, doubled)
        return PassResult(self.name, (node.name,))


def test_passes_are_chosen_and_a_guilty_one_is_named() -> None:
    module = networks.small_net()
    _, report = cnn_export.reparameterize(module, IMAGE, passes=[FoldAffineIntoProducer()])
    assert [each.name for each in report.passes] == ["FoldAffineIntoProducer"]
    with pytest.raises(ReparameterizationError, match="Doubling changed") as caught:
        cnn_export.reparameterize(module, IMAGE, passes=[Doubling(), FoldAffineIntoProducer()])
    assert caught.value.pass_name == Doubling.__name__


def test_the_tolerance_is_the_proof_s() -> None:
    _, report = cnn_export.reparameterize(networks.small_net(), IMAGE, tolerance=1e-3)
    assert report.proof is not None
    assert report.proof.tolerance == 1e-3
    with pytest.raises(ReparameterizationError, match="allowed is 1e-30"):
        cnn_export.reparameterize(networks.small_net(), IMAGE, tolerance=1e-30)


class _Nothing(torch.nn.Module):
    def forward(self) -> torch.Tensor:
        return torch.ones(2)


@pytest.mark.parametrize(
    ("source", "inputs", "says"),
    [
        ("model.pt", IMAGE, "takes a torch.nn.Module, not a str"),
        (networks.small_net(), 5, "example_inputs is a int"),
        (networks.small_net(), IMAGE[:0], "is empty"),
        (_Nothing(), (), "has no input"),
    ],
)
def test_what_is_no_network_or_input_is_named(source: Any, inputs: Any, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        cnn_export.reparameterize(source, inputs)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, math.nan, math.inf])
def test_a_tolerance_is_a_positive_number(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance"):
        cnn_export.reparameterize(networks.small_net(), IMAGE, tolerance=tolerance)
