"""prepare: trained with a decision's roundings, saved, and exported with the same decision."""

import dataclasses
import json

import pytest
import torch
from decided import decided
from torch import nn
from torch.nn import functional as F

from cnn_export.errors import InputRefused, UsageError
from cnn_export.program.program import capture
from cnn_export.quantization import SchemeOptions, prepare
from cnn_export.quantization.decision_json import decision_from_json, decision_to_json
from cnn_export.quantization.finetuning.recorded_decision import recorded_decision
from cnn_export.quantization.insertion.quantized_graph import quantized_graph
from cnn_export.quantization.spelling import Spelling
from cnn_export.reparam import reparameterize_graph
from cnn_export.source.checkpoint import load_model
from cnn_export.targets.legalizations import INT8


class Net(nn.Module):
    """Batch normalization, a squeeze and excitation, pools, a dict of two outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(8)
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.squeeze, self.excite = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.head = nn.Linear(8, 5)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, image):
        y = F.relu6(self.norm(self.conv(image)))
        gate = F.hardsigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        y = F.avg_pool2d(y * gate, 2)
        return {"logits": self.head(y.mean((2, 3)).flatten(1)), "features": y}


def _images(count=4, batch=6):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(batch, 3, 10, 8, generator=generator) for _ in range(count)]


@pytest.fixture(scope="module")
def net():
    return Net().train()


@pytest.fixture
def prepared(net):
    return prepare(net, _images()[0][:1], _images())


def test_the_module_given_stays_and_the_structure_is_its_own(net, prepared):
    assert net.training
    assert net.norm.training
    assert all(each.grad is None for each in net.parameters())
    got, expected = prepared(_images()[0]), net.eval()(_images()[0])
    net.train()
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        error = (got[name] - value).abs().max()
        assert 0 < error < 0.1 * value.abs().max(), name


def test_labels_behind_the_images_are_not_taken(net, prepared):
    pairs = [(images, torch.arange(6)) for images in _images()]
    assert prepare(net, _images()[0], pairs).decision == prepared.decision


def test_training_lowers_the_loss_and_keeps_the_decision(prepared):
    decision, images = prepared.decision, _images()[0]
    with torch.no_grad():
        wanted = prepared(images)["logits"].roll(1, 1)
    optimizer = torch.optim.Adam(prepared.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.mse_loss(prepared(images)["logits"], wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert prepared.decision is decision
    moved = [n for n, p in prepared.named_parameters() if p.grad is not None and p.grad.any()]
    assert sum("weight" in name for name in moved) >= 4


def _as_a_job_takes_it(path, dynamic):
    """Load, trace, reparameterize and legalize, as every export does."""
    module = load_model(path).module
    program = capture(module, (_images()[0][:1],), dynamic_batch=dynamic)
    reparameterize_graph(program.graph_module)
    reparameterize_graph(program.graph_module, [each.program_pass for each in INT8.passes])
    return program


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_saved_checkpoint_exports_with_the_same_decision(prepared, tmp_path, dynamic):
    with torch.no_grad():
        for parameter in prepared.parameters():
            parameter.mul_(1.01)
    path = tmp_path / "tuned.pt2"
    prepared.save(path)
    decision = recorded_decision(path)
    assert decision == prepared.decision
    program = _as_a_job_takes_it(path, dynamic)
    quantized = quantized_graph(program.graph_module, decision, Spelling())
    with torch.no_grad():
        got, expected = quantized(_images()[1][:1]), prepared(_images()[1][:1])
    for value, (name, wanted) in zip(got, expected.items(), strict=True):
        step = decision.tensors["linear"].scale if name == "logits" else wanted.abs().max() / 255
        assert (value - wanted).abs().max() <= 1.01 * step, name
        assert ((value - wanted).abs() < 0.01 * step).double().mean() > 0.8, name


def test_a_checkpoint_without_a_decision_has_none(tmp_path):
    path = tmp_path / "plain.pt"
    torch.save(Net().state_dict(), path)
    assert recorded_decision(path) is None
    path.write_text("text")
    assert recorded_decision(path) is None


def test_a_layer_may_stay_float(net):
    tuned = prepare(net, _images()[0], _images(), SchemeOptions(keep_float=frozenset({"conv"})))
    assert "conv is kept float as asked" in tuned.decision.kept_float.values()
    with pytest.raises(UsageError, match="Did you mean 'conv'"):
        prepare(net, _images()[0], _images(), SchemeOptions(keep_float=frozenset({"konv"})))


def test_a_generator_is_gone_after_one_pass(net):
    with pytest.raises(InputRefused, match="changed between two passes"):
        prepare(net, _images()[0], iter(_images()))


def test_a_decision_comes_back_from_its_text():
    case = decided(Net(), [(image,) for image in _images()])
    decision = dataclasses.replace(
        case.decision,
        weights={
            name: dataclasses.replace(each, bias_correction=(0.1,) * len(each.scales))
            for name, each in case.decision.weights.items()
        },
    )
    assert decision_from_json(decision_to_json(decision)) == decision
    assert decision_from_json(decision_to_json(case.decision)) == case.decision


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["tensors"]["image"].update(zero_point=128),
        lambda d: d["tensors"]["image"].update(zero_point=True),
        lambda d: d["tensors"]["image"].update(scale=0.1),
        lambda d: d["tensors"]["image"].update(scale=-1.0),
        lambda d: d["tensors"]["image"].update(scale=1e300),
        lambda d: d["weights"]["conv2d"].update(scales=["x"]),
        lambda d: d["weights"]["conv2d"].update(bias_correction=[1.0]),
        lambda d: d["weights"]["conv2d"].update(bias_correction=[float("nan")] * 8),
        lambda d: d.pop("weights"),
        lambda d: d.update(tensors=[1]),
    ],
)
def test_a_damaged_text_is_refused(damage):
    given = json.loads(
        '{"tensors": {"image": {"scale": 0.5, "zero_point": 3, "why": ""}}, "kept_float": {},'
        ' "weights": {"conv2d": {"scales": [0.5, 0.5, 1, 1, 1, 1, 1, 1], "bias_correction": []}}}'
    )
    assert decision_from_json(json.dumps(given)).weights
    damage(given)
    with pytest.raises(InputRefused, match="int8 decision is damaged"):
        decision_from_json(json.dumps(given))
