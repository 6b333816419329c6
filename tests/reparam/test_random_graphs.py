"""The whole stage on random graphs in which any value may be read again by anything."""

import torch
from effort import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_graph

from cnn_export.program.program import capture
from cnn_export.reparam import reparameterize_graph
from cnn_export.reparam.proof.comparison import relative_error

SEEDS = st.integers(min_value=0, max_value=2**32 - 1)


@settings(max_examples=examples(40))
@given(SEEDS, st.booleans())
def test_random_graph_stays_equal(seed, dynamic):
    module, image = random_graph(seed)
    module, image = module.double(), image.double()
    graph_module = capture(module, (image,), dynamic_batch=dynamic).graph_module
    reparameterize_graph(graph_module, prove_equal=False)
    images = torch.cat([image, image.flip(0) * 2, -image]) if dynamic else image
    with torch.no_grad():
        expected, actual = module(images), graph_module(images)
    assert relative_error(expected, actual) <= 1e-10
    assert not reparameterize_graph(graph_module, prove_equal=False).modified


def test_generator_repeats_itself():
    (one, image), (two, same) = random_graph(7), random_graph(7)
    assert torch.equal(image, same)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(one(image), two(image), strict=True))


def test_generator_reaches_what_it_promises():
    graphs = [random_graph(seed)[0] for seed in range(40)]
    assert any(len(graph.outputs) > 1 for graph in graphs)
    used = [[s.layer for s in graph.steps if s.layer is not None] for graph in graphs]
    assert any(len(layers) > len(set(layers)) for layers in used)
