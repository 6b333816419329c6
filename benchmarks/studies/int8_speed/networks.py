"""The networks that int8 is measured on, with drawn weights and statistics that are no identity.

How fast a network is does not depend on its weights, and torchvision's are a download.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

INPUT, INPUT_SHAPE = "image", (1, 3, 224, 224)
_SEED = 2026


def network(name: str) -> Any:
    """Return the network in eval mode; the same weights each time, its input :data:`INPUT`."""
    import torch

    class Named(torch.nn.Module):
        """The networks' own names for their input differ."""

        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.module(image)

    torch.manual_seed(_SEED)
    module = NETWORKS[name]()
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            statistics: Any = layer
            statistics.running_mean.normal_(0, 0.1)
            statistics.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, 0, 0.2)
    return Named(module).eval()


def images(count: int, seed: int) -> list[Any]:
    """Return standard normal float32 images of :data:`INPUT_SHAPE`."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(INPUT_SHAPE, generator=generator) for _ in range(count)]


def _torchvision(name: str) -> Callable[[], Any]:
    def make() -> Any:
        import torchvision

        return torchvision.models.get_model(name)

    return make


def _mobilenext(multiplier: str) -> Callable[[], Any]:
    def make() -> Any:
        from cnn_export.models.families.mobilenext import mobilenext

        return mobilenext(1.0, identity_tensor_multiplier=multiplier)

    return make


def _skipnet() -> Any:
    from cnn_export.models.families.skipnet import skipnet

    return skipnet()


def _ghostnet() -> Any:
    import timm

    return timm.create_model("ghostnet_100")


NETWORKS: dict[str, Callable[[], Any]] = {
    "mobilenet_v2": _torchvision("mobilenet_v2"),
    "mobilenet_v3_large": _torchvision("mobilenet_v3_large"),
    "skipnet": _skipnet,
    "mobilenext": _mobilenext("1"),
    "mobilenext_half": _mobilenext("1/2"),
    "shufflenet_v2": _torchvision("shufflenet_v2_x1_0"),
    "ghostnet": _ghostnet,
}
