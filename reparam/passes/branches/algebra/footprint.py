"""Which inputs each output of a linear operator reads, without the weights.

Enough to decide whether two operators compose or add exactly, and what the result would cost.
"""

from __future__ import annotations

import dataclasses
import math

ZEROS = "constant"
"""Border mode in which positions outside the source read as zero (torch's name for it)."""


class NotRepresentable(Exception):
    """The combination is no convolution with one border mode; the message says why."""


@dataclasses.dataclass(frozen=True)
class Axis:
    """One spatial axis: ``y[i] = Σ_t w[t] · x̃[i · stride + t]``, ``t`` in ``taps``.

    ``taps`` are sorted offsets in positions of the source, negative ones in front of it; ``x̃`` is
    the source of ``size_in`` positions, continued by ``border`` (a mode of ``torch.pad``).
    """

    taps: tuple[int, ...]
    stride: int
    size_in: int
    size_out: int
    border: str = ZEROS

    @property
    def before(self) -> int:
        """Positions read in front of the source; negative where it is cropped."""
        return -self.taps[0]

    @property
    def after(self) -> int:
        """Positions read behind the source; negative where some are never read."""
        return (self.size_out - 1) * self.stride + self.taps[-1] - (self.size_in - 1)

    @property
    def reads_outside(self) -> bool:
        """Whether any output reads beyond the source."""
        return self.before > 0 or self.after > 0

    @property
    def is_pointwise(self) -> bool:
        """Whether every output reads the source at its own position only."""
        return self.taps == (0,) and self.stride == 1 and self.size_in == self.size_out

    @property
    def dilation(self) -> int:
        """Largest step that reaches every tap."""
        return math.gcd(*(tap - self.taps[0] for tap in self.taps)) or 1

    @property
    def kernel(self) -> int:
        """Positions of a kernel with that dilation."""
        return (self.taps[-1] - self.taps[0]) // self.dilation + 1


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Channels, groups (block-diagonal in equal consecutive blocks) and axes of an operator."""

    channels_in: int
    channels_out: int
    groups: int
    axes: tuple[Axis, ...]

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel is computed from the one with its own number."""
        return self.groups == self.channels_in == self.channels_out

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel size per axis."""
        return tuple(axis.kernel for axis in self.axes)

    @property
    def weights(self) -> int:
        """Elements of a dense kernel."""
        return self.channels_out * (self.channels_in // self.groups) * math.prod(self.kernel)


def identity(channels: int, sizes: tuple[int, ...]) -> Footprint:
    """Return the footprint of ``y = x``."""
    axes = tuple(Axis((0,), 1, size, size) for size in sizes)
    return Footprint(channels, channels, channels, axes)


def compose(outer: Footprint, inner: Footprint, *, inner_is_unbiased: bool) -> Footprint:
    """Return the footprint of ``outer ∘ inner``.

    Raises:
        NotRepresentable: the outer operator's border falls on values that the inner one does not
            continue in the same way.
    """
    if outer.channels_in != inner.channels_out:
        raise NotRepresentable(f"{inner.channels_out} channels meet {outer.channels_in}")
    axes = tuple(
        _compose_axes(a, b, inner_is_unbiased) for a, b in zip(outer.axes, inner.axes, strict=True)
    )
    groups = math.gcd(outer.groups, inner.groups)
    return Footprint(inner.channels_in, outer.channels_out, groups, axes)


def add(left: Footprint, right: Footprint) -> Footprint:
    """Return the footprint of ``left + right`` on one source.

    Raises:
        NotRepresentable: strides, sizes or borders differ.
    """
    if (left.channels_in, left.channels_out) != (right.channels_in, right.channels_out):
        raise NotRepresentable("the branches differ in channels")
    axes = tuple(_add_axes(a, b) for a, b in zip(left.axes, right.axes, strict=True))
    groups = math.gcd(left.groups, right.groups)
    return Footprint(left.channels_in, left.channels_out, groups, axes)


def _compose_axes(outer: Axis, inner: Axis, inner_is_unbiased: bool) -> Axis:
    """``y[i·s₂ + t₂] = Σ w₁[t₁] x̃[(i·s₂ + t₂)·s₁ + t₁]``: taps ``t₂·s₁ + t₁``, stride ``s₁·s₂``."""
    if outer.size_in != inner.size_out:
        raise NotRepresentable(f"{inner.size_out} positions meet {outer.size_in}")
    border = inner.border
    if outer.reads_outside:
        _require_same_continuation(outer, inner, inner_is_unbiased)
        border = outer.border
    taps = sorted({t2 * inner.stride + t1 for t2 in outer.taps for t1 in inner.taps})
    return Axis(tuple(taps), outer.stride * inner.stride, inner.size_in, outer.size_out, border)


def _require_same_continuation(outer: Axis, inner: Axis, inner_is_unbiased: bool) -> None:
    """The outer border must be what the inner operator computes from its own continued source."""
    if outer.border != ZEROS:
        if not inner.is_pointwise:
            raise NotRepresentable(f"a {outer.border} border lies between two kernels")
        return
    if not inner_is_unbiased:
        raise NotRepresentable("a zero border would have to carry the bias of what stands before")
    first_outside = -inner.stride + inner.taps[-1] < 0
    last_outside = inner.size_out * inner.stride + inner.taps[0] >= inner.size_in
    if not (first_outside and last_outside):
        raise NotRepresentable("a zero border lies between two kernels")
    if inner.reads_outside and inner.border != ZEROS:
        raise NotRepresentable(f"a zero border follows a {inner.border} border")


def _add_axes(left: Axis, right: Axis) -> Axis:
    if (left.size_in, left.size_out) != (right.size_in, right.size_out):
        raise NotRepresentable("the branches differ in size")
    if left.stride != right.stride and left.size_out > 1:
        raise NotRepresentable(f"the branches stride by {left.stride} and {right.stride}")
    both = left.reads_outside and right.reads_outside
    if both and left.border != right.border:
        raise NotRepresentable(f"the branches have {left.border} and {right.border} borders")
    border = left.border if left.reads_outside else right.border
    taps = tuple(sorted({*left.taps, *right.taps}))
    return Axis(taps, left.stride, left.size_in, left.size_out, border)
