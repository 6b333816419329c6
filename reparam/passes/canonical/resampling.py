"""Pools and interpolations that take every element from its own place."""

from __future__ import annotations

from typing import Any

POOLS = tuple(f"{kind}_pool{rank}d" for kind in ("avg", "max") for rank in (1, 2, 3))
"""Pools over windows; those of 1 element are identities."""

_MODES = ("nearest", "_nearest_exact", "linear", "bilinear", "trilinear", "bicubic")
INTERPOLATIONS = tuple(
    f"{'_upsample_nearest_exact' if mode == '_nearest_exact' else f'upsample_{mode}'}{rank}d"
    for mode in _MODES
    for rank in (1, 2, 3)
)
"""Interpolations; at scale 1 every weight but that of the element itself is 0."""


def has_unit_windows(bound: dict[str, Any]) -> bool:
    """Whether a pool's windows hold one element each, side by side and inside the map."""
    kernel, stride = _values(bound["kernel_size"]), _values(bound["stride"])
    plain = bound.get("divisor_override") in (None, 1)
    return (
        plain
        and all(size == 1 for size in (*kernel, *stride))
        and not any(_values(bound["padding"]))
    )


def keeps_scale(bound: dict[str, Any]) -> bool:
    """Whether an interpolation computes positions with scale 1.

    Between equal sizes that follows from the sizes, unless scales are given: those are used as
    they are, and 5 elements at scale 1.1 are 5 elements again, at other positions.
    """
    given: list[Any] = [bound.get("scale_factors"), bound.get("scales")]
    given += [bound.get(f"scales_{axis}") for axis in "dhw"]
    return all(scale == 1.0 for each in given if each is not None for scale in _values(each))


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)
