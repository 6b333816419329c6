"""Channel order of image tensors, at the border of an artifact.

The program is NCHW throughout. With ``--layout nhwc`` every rank-4 input and output of the
artifact is NHWC; other ranks are untouched.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from cnn_export.program.tensors import Layout, Tensors, TensorSpec

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)
_IMAGE_RANK = 4


def is_image(spec: TensorSpec) -> bool:
    """Whether the layout applies to this tensor."""
    return len(spec.shape) == _IMAGE_RANK


def artifact_spec(spec: TensorSpec, layout: Layout) -> TensorSpec:
    """Return the spec as the artifact declares it."""
    if layout == "nchw" or not is_image(spec):
        return spec
    return dataclasses.replace(spec, shape=tuple(spec.shape[axis] for axis in NCHW_TO_NHWC))


def to_artifact(values: Tensors, specs: tuple[TensorSpec, ...], layout: Layout) -> Tensors:
    """Reorder the program's values for the artifact."""
    return _permuted(values, specs, layout, NCHW_TO_NHWC)


def from_artifact(values: Tensors, specs: tuple[TensorSpec, ...], layout: Layout) -> Tensors:
    """Reorder the artifact's values for comparison with the program's."""
    return _permuted(values, specs, layout, NHWC_TO_NCHW)


def _permuted(
    values: Tensors, specs: tuple[TensorSpec, ...], layout: Layout, axes: tuple[int, ...]
) -> Tensors:
    if layout == "nchw":
        return values
    images = {spec.name for spec in specs if is_image(spec)}
    return {
        name: np.ascontiguousarray(value.transpose(axes)) if name in images else value
        for name, value in values.items()
    }
