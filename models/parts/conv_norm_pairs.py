"""Which batch norm normalizes which convolution, proven from how a network calls them.

Names prove nothing: ``bn1`` stands behind ``conv1`` in a ResNet and before it in a pre-activation
ResNet.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from torch import fx, nn


@dataclasses.dataclass(frozen=True)
class Calls:
    """What is known of a network's calls.

    ``norm_of`` maps a convolution to the batch norm that alone reads it, where each is called
    once. ``read_directly`` holds convolutions whose weight the network reads by itself.
    """

    norm_of: dict[nn.Conv2d, nn.BatchNorm2d]
    read_directly: frozenset[nn.Module] = frozenset()


def observed_calls(network: nn.Module) -> Calls:
    """Trace the network in evaluation mode; where that fails, go by ``nn.Sequential``."""
    holder = nn.Sequential(network)  # a tracer takes its root apart, also a lone convolution
    try:
        graph = _traced(holder)
    except Exception:  # whatever the network's own forward does with a symbolic tensor
        return Calls(dict(_sequential_pairs(network)))
    return Calls(dict(_traced_pairs(holder, graph)), _read_directly(holder, graph))


def _traced(network: nn.Module) -> fx.Graph:
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        return fx.Tracer().trace(network)
    finally:
        for module, training in modes:
            module.training = training


def _traced_pairs(
    network: nn.Module, graph: fx.Graph
) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    calls: dict[nn.Module, list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_module":
            calls.setdefault(network.get_submodule(str(node.target)), []).append(node)
    for conv, nodes in calls.items():
        if not isinstance(conv, nn.Conv2d) or len(nodes) > 1 or len(nodes[0].users) != 1:
            continue
        reader = next(iter(nodes[0].users))
        norm = network.get_submodule(str(reader.target)) if reader.op == "call_module" else None
        if isinstance(norm, nn.BatchNorm2d) and len(calls[norm]) == 1:
            yield conv, norm


def _read_directly(network: nn.Module, graph: fx.Graph) -> frozenset[nn.Module]:
    paths = (str(node.target) for node in graph.nodes if node.op == "get_attr")
    return frozenset(network.get_submodule(path.rpartition(".")[0]) for path in paths)


def _sequential_pairs(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield neighbours in a Sequential, each of which stands in the network once."""
    places: dict[nn.Module, int] = {}
    for _, module in network.named_modules(remove_duplicate=False):
        places[module] = places.get(module, 0) + 1
    for module in network.modules():
        if type(module).forward is not nn.Sequential.forward:
            continue
        children = list(module.children())
        for conv, norm in itertools.pairwise(children):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            if places[conv] == places[norm] == 1:
                yield conv, norm
