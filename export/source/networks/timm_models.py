"""timm networks as candidates; timm is imported only when asked for."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from cnn_export.command_line.packages import require
from cnn_export.errors import TargetUnavailable, UsageError, nearest
from cnn_export.models.registry import Shapes
from cnn_export.program.normalization import normalization_text
from cnn_export.source.networks.candidates import Candidate

_MERGED = ".reparam_conv."
"""What timm calls the convolution that its branches are merged into."""
_OWN_WEIGHTS = ("pretrained", "checkpoint_path", "pretrained_cfg", "cache_dir")


def refuse_unknown(name: str) -> None:
    """Refuse a name that timm does not have.

    Raises:
        UsageError: names the nearest.
        TargetUnavailable: timm is not installed.
    """
    timm = _timm()
    if not is_known(name):
        known = timm.list_models()
        raise UsageError(f"timm has no network {name!r}.{nearest(name, known)}")


def is_known(name: str) -> bool:
    """Whether timm has a network of that name (``name.tag`` names its weights, not a network)."""
    return bool(_timm().is_model(name)) and ":" not in name and "." not in name


def known_name(name: str) -> str | None:
    """Return timm's own spelling of a network's name, whatever case and dashes it has here."""
    if not is_installed():
        return None
    if is_known(name):
        return name
    known = {_letters(each): each for each in _timm().list_models()}
    return known.get(_letters(name))


def is_installed() -> bool:
    """Tell whether timm can be asked."""
    try:
        require("timm", ["timm"])
    except TargetUnavailable:
        return False
    return True


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def timm_candidate(name: str, shapes: Shapes) -> Candidate:
    """Return the timm network; class count and input channels are read off the tensors."""
    timm = _timm()
    published = timm.get_pretrained_cfg(name)
    config: Mapping[str, Any] = published.to_dict() if published else {}
    channels, height, width = config.get("input_size") or (3, 224, 224)
    inferred = _inferred(_tensor_names(config), shapes)
    if inferred.get("in_chans") == channels:
        del inferred["in_chans"]
    if any(_MERGED in tensor for tensor in shapes):
        inferred["reparameterized"] = True
    return Candidate(
        label=f"timm:{name}",
        build=functools.partial(create, name),
        arguments=inferred,
        input_size=(inferred.get("in_chans", channels), height, width),
        normalization=_normalization(config, inferred),
        inferred=frozenset(inferred),
        aliases={"classes": "num_classes"},
        refused=_OWN_WEIGHTS,
    )


def create(name: str, *, reparameterized: bool = False, **arguments: Any) -> Any:
    """Build the network, with its branches merged as timm does that before it saves one."""
    timm = _timm()
    network = timm.create_model(name, pretrained=False, **arguments)
    if not reparameterized:
        return network
    if any(parameter.is_meta for parameter in network.parameters()):
        network = network.to("meta")  # nothing to compute: the weights come from the checkpoint
    return timm.utils.reparameterize_model(network, inplace=True)


def _timm() -> Any:
    require("timm", ["timm"])
    return importlib.import_module("timm")


def _normalization(config: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """Return the published one, unless another class count shows another training."""
    classes = config.get("num_classes")
    if not {"mean", "std"} <= config.keys() or arguments.get("num_classes", classes) != classes:
        return None
    return normalization_text(config["mean"], config["std"])


def _tensor_names(config: Mapping[str, Any]) -> dict[str, str]:
    """Return which weight shows an argument: last layer and first convolution.

    timm lists several classifiers for distilled networks; the first one counts.
    """
    names = {"num_classes": config.get("classifier"), "in_chans": config.get("first_conv")}
    first = {k: v[0] if isinstance(v, (list, tuple)) and v else v for k, v in names.items()}
    return {key: f"{layer}.weight" for key, layer in first.items() if isinstance(layer, str)}


def _inferred(names: Mapping[str, str], shapes: Shapes) -> dict[str, int]:
    dimension = {"num_classes": 0, "in_chans": 1}
    return {
        key: shapes[tensor][dimension[key]]
        for key, tensor in names.items()
        if len(shapes.get(tensor, ())) > dimension[key]
    }
