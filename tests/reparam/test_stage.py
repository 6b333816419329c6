"""The stage: fixed point, proof, guilty pass, rounding, report."""

import pytest
import torch
from networks import randomize_batch_norm
from pass_checks import graph_of, operators
from torch import nn

from cnn_export.program.program import capture
from cnn_export.reparam import ReparameterizationError, reparameterize_graph
from cnn_export.reparam.graph.attributes import constant
from cnn_export.reparam.graph.surgery import insert_constant
from cnn_export.reparam.pass_pipeline import DEFAULT_PASSES, PIPELINE
from cnn_export.reparam.passes.affine.fold_affine_into_producer import FoldAffineIntoProducer
from cnn_export.reparam.passes.functionalize.functionalize_inplace import FunctionalizeInplace
from cnn_export.reparam.program_pass import PassResult, ProgramPass
from cnn_export.reparam.proof.probe import make_probe

IMAGE = torch.randn(1, 3, 9, 7)


def _network():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(),
        nn.Conv2d(4, 5, 3, bias=False), nn.BatchNorm2d(5), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    randomize_batch_norm(module)
    return module.eval()


class _ScaleFirstWeight(ProgramPass):
    """A broken pass: multiplies one weight, once."""

    def __init__(self, factor):
        self.factor = factor

    def rewrite(self, graph_module):
        node = next(node for node in graph_module.graph.nodes if node.op == "get_attr")
        if "scaled" in node.target:
            return PassResult(self.name)
        value = constant(graph_module, node) * self.factor
        new = insert_constant(graph_module, "scaled", value, before=node, like=node)
        node.replace_all_uses_with(new)
        return PassResult(self.name, (node.name,))


class _Restless(ProgramPass):
    def rewrite(self, graph_module):
        return PassResult(self.name, ("anything",))


class _Failing(ProgramPass):
    def rewrite(self, graph_module):
        raise KeyError("lost")


def test_report_tells_what_happened():
    graph_module = graph_of(_network(), IMAGE)
    report = reparameterize_graph(graph_module)
    fired = {each.name: len(each.rewrites) for each in report.passes if each.rewrites}
    assert fired == {"FunctionalizeInplace": 1, "RemoveNoOps": 1, "StaticPools": 1,
                     "FoldAffineIntoProducer": 2}  # fmt: skip
    assert operators(graph_module) == ["conv2d", "relu", "conv2d", "mean", "flatten"]
    assert [each.name for each in report.passes] == [each.name for each in DEFAULT_PASSES]
    assert (report.before.ops, report.after.ops) == (8, 5)
    assert report.before.parameters == 3 * 4 * 9 + 4 + 8 + 4 * 5 * 9 + 10
    assert report.after.parameters == 3 * 4 * 9 + 4 + 4 * 5 * 9 + 5
    assert report.after.parameter_bytes == 4 * report.after.parameters
    assert report.before.macs == report.after.macs == 5 * 7 * 4 * 27 + 3 * 5 * 5 * 36
    assert report.after.buffer_bytes == 0
    assert report.modified
    assert report.rounds == 2


def test_second_run_changes_nothing():
    graph_module = graph_of(_network(), IMAGE)
    reparameterize_graph(graph_module)
    code, weights = graph_module.code, dict(graph_module.state_dict())
    report = reparameterize_graph(graph_module)
    assert not report.modified
    assert report.proof.relative_error == 0.0
    assert graph_module.code == code
    assert all(graph_module.state_dict()[name] is not None for name in weights)


def test_weights_are_rounded_once_to_their_dtype():
    module = _network()
    graph_module = graph_of(module, IMAGE)
    report = reparameterize_graph(graph_module)
    conv, norm = module[0], module[1]
    exact = conv.weight.double() * (
        norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    ).view(-1, 1, 1, 1)
    first = next(t for n, t in graph_module.state_dict().items() if n.endswith("folded_weight"))
    assert first.dtype == torch.float32
    assert (first.double() - exact).abs().max() <= exact.abs().max() * 2**-24
    assert 0 < report.proof.relative_error < 1e-13


def test_result_equals_the_module():
    module = _network()
    graph_module = graph_of(module, IMAGE)
    reparameterize_graph(graph_module)
    torch.testing.assert_close(graph_module(IMAGE)[0], module(IMAGE), rtol=1e-5, atol=1e-6)


def test_half_precision_comes_back_as_half():
    graph_module = graph_of(_network().half(), IMAGE.half())
    report = reparameterize_graph(graph_module)
    assert {tensor.dtype for tensor in graph_module.state_dict().values()} == {torch.float16}
    assert graph_module.graph.output_node().args[0][0].meta["val"].dtype == torch.float16
    assert report.proof.relative_error < 1e-12


def test_refuses_weights_beyond_the_range_of_half():
    module = _network().half()
    module[1].weight.data.fill_(60000.0)
    module[0].weight.data.fill_(100.0)
    graph_module = graph_of(module, IMAGE.half())
    with pytest.raises(ReparameterizationError, match=r"exceed the range of torch\.float16"):
        reparameterize_graph(graph_module)
    assert "batch_norm" in operators(graph_module)


@pytest.mark.parametrize("scale", [1e-4, 5e-4])
def test_refuses_weights_that_vanish_in_half(scale):
    """The products are zero in float16, or keep a few of their digits only."""
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=0.0)).half()
    module[0].weight.data.fill_(1.3 * scale)
    module[1].weight.data.fill_(scale)
    graph_module = graph_of(module, IMAGE.half())
    with pytest.raises(ReparameterizationError, match=r"too small for torch\.float16: rounding"):
        reparameterize_graph(graph_module)
    assert "batch_norm" in operators(graph_module)


@pytest.mark.parametrize(("gamma", "is_lossy"), [(3e-5, True), (3e-3, False), (1.0, False)])
def test_rounding_in_half_is_held_against_what_half_itself_does(gamma, is_lossy):
    """The products of 3e-5 are subnormal: the fused result is 8 % off, the network's own 0.6 %."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).eval()
    module[1].weight.data.fill_(gamma)
    graph_module = graph_of(module.half(), IMAGE.half())
    if is_lossy:
        with pytest.raises(ReparameterizationError, match=r"too small for torch\.float16"):
            reparameterize_graph(graph_module)
        assert "batch_norm" in operators(graph_module)
    else:
        reparameterize_graph(graph_module)
        assert operators(graph_module) == ["conv2d"]


def test_no_probe_is_no_proof():
    graph_module = graph_of(_network(), IMAGE)
    with pytest.raises(ReparameterizationError, match="no probe was given"):
        reparameterize_graph(graph_module, probes=lambda: ())
    assert "batch_norm" in operators(graph_module)


def test_weights_that_vanish_beside_others_are_rounded():
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).half()
    module[0].weight.data[1] = 1e-5
    module[1].weight.data[1] = 1e-5
    graph_module = graph_of(module, IMAGE.half())
    reparameterize_graph(graph_module)
    assert operators(graph_module) == ["conv2d"]


class _MixedPrecision(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.conv, self.dtype = nn.Conv2d(3, 4, 3), dtype

    def forward(self, x):
        return self.conv(x).to(self.dtype).relu_().to(torch.float32) + torch.zeros(4, 1, 1)


def test_a_half_precision_island_keeps_its_conversions():
    module = _MixedPrecision(torch.float16)
    graph_module = graph_of(module, IMAGE)
    reparameterize_graph(graph_module)
    assert operators(graph_module).count("to") == 2
    torch.testing.assert_close(graph_module(IMAGE)[0], module(IMAGE))


def test_refuses_float64_inside_float32():
    graph_module = graph_of(_MixedPrecision(torch.float64), IMAGE)
    with pytest.raises(ReparameterizationError, match="to computes in float64"):
        reparameterize_graph(graph_module)


@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_names_the_guilty_pass_wherever_it_stands(position):
    passes = [FunctionalizeInplace(), FoldAffineIntoProducer(), DEFAULT_PASSES[5]]
    passes.insert(position, _ScaleFirstWeight(1.001))
    graph_module = graph_of(_network(), IMAGE)
    before = graph_module.code
    with pytest.raises(ReparameterizationError, match="_ScaleFirstWeight changed what") as caught:
        reparameterize_graph(graph_module, passes)
    assert caught.value.pass_name == _ScaleFirstWeight.__name__
    assert graph_module.code == before


def test_proof_sees_an_error_of_a_few_parts_in_a_billion():
    graph_module = graph_of(_network(), IMAGE)
    with pytest.raises(ReparameterizationError, match="relative error"):
        reparameterize_graph(graph_module, [_ScaleFirstWeight(1 + 1e-7)])


def test_proof_can_be_switched_off():
    graph_module = graph_of(_network(), IMAGE)
    assert (
        reparameterize_graph(graph_module, [_ScaleFirstWeight(2.0)], prove_equal=False).proof
        is None
    )


def test_a_given_probe_is_used():
    graph_module = graph_of(_network(), IMAGE)
    probe = make_probe(graph_module, seed=3)
    wrong = type(probe)(probe.inputs, tuple(each + 1 for each in probe.outputs))
    with pytest.raises(ReparameterizationError):
        reparameterize_graph(graph_module, probes=lambda: [wrong])
    assert reparameterize_graph(graph_module, probes=lambda: [probe]).proof.relative_error < 1e-12


def test_probe_holds_what_the_module_answers():
    module = _network()
    probe = make_probe(graph_of(module, IMAGE), seed=3)
    torch.testing.assert_close(probe.outputs[0], module.double()(probe.inputs[0]))
    again = make_probe(graph_of(module.float(), IMAGE), seed=3)
    assert torch.equal(probe.inputs[0], again.inputs[0])


def test_names_the_pass_that_never_rests():
    graph_module = graph_of(_network(), IMAGE)
    with pytest.raises(ReparameterizationError, match="4 rounds; _Restless still fired") as caught:
        reparameterize_graph(graph_module, [*DEFAULT_PASSES, _Restless()], max_rounds=4)
    assert caught.value.pass_name == _Restless.__name__


def test_names_the_pass_that_fails_and_keeps_the_graph():
    graph_module = graph_of(_network(), IMAGE)
    before = graph_module.code
    with pytest.raises(ReparameterizationError, match="_Failing failed: KeyError: 'lost'"):
        reparameterize_graph(graph_module, [*DEFAULT_PASSES, _Failing()])
    assert graph_module.code == before
    assert "batch_norm" in operators(graph_module)


def test_graph_without_anything_to_do_stays_untouched():
    graph_module = graph_of(nn.Conv2d(3, 4, 3), IMAGE)
    weights = {name: tensor.data_ptr() for name, tensor in graph_module.state_dict().items()}
    assert not reparameterize_graph(graph_module).modified
    after = {name: tensor.data_ptr() for name, tensor in graph_module.state_dict().items()}
    assert after == weights


def test_settings_of_torch_are_restored():
    threads = torch.get_num_threads()
    with pytest.raises(ReparameterizationError):
        reparameterize_graph(graph_of(_network(), IMAGE), [_Failing()])
    reparameterize_graph(graph_of(_network(), IMAGE))
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_num_threads() == threads


class _TiedConvolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x).relu_())


def test_tied_tensors_stay_one_tensor():
    graph_module = capture(_TiedConvolutions(), (IMAGE,)).graph_module
    report = reparameterize_graph(graph_module)
    assert report.modified
    assert report.before.parameters == report.after.parameters == 81 + 6


def test_every_place_in_the_order_has_a_reason():
    assert len({type(entry.program_pass) for entry in PIPELINE}) == len(PIPELINE)
    assert all(len(entry.reason.split()) > 4 for entry in PIPELINE)
