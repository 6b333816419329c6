"""Every kernel of the evaluator against torch or numpy in float64.

A case builds a one-op program with coremltools' own builder, writes it to disk as a package and
evaluates that package; the expected value is computed independently from the same inputs.
"""

import inspect
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnn_export.targets.mil.package import write_package
from cnn_export.targets.mil.registry import KERNELS
from cnn_export.targets.mil.session import EvaluatorSession
from cnn_export.targets.mil.vendor import coremltools, quiet

ct = coremltools()

from coremltools.converters.mil import Builder as mb  # noqa: E402 -- imported quietly above

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X = normal(2, 6, 7, 5)  # odd, not square
POSITIVE = np.abs(X) + 0.1
INDEX = np.array([2, 0, -1], np.int32)
WEIGHT = normal(4, 3, 3, 2)  # groups of 2
TRANSPOSED = normal(6, 2, 3, 2)
BIAS = normal(4)
CHANNEL = normal(6)
LINEAR = normal(5, 4)
VARIANCE = np.abs(normal(6)) + 0.5


INPUTS = {
    "x": X,
    "y": POSITIVE[:, :1],  # broadcasts
    "unit": np.tanh(X) * np.float32(0.9),
    "positive": POSITIVE,
    "whole": np.round(X),  # so that equal elements occur
    "other": np.round(normal(2, 6, 7, 5)),
    "image": normal(1, 8, 6, 4),
    "matrix": normal(3, 4),
    "left": normal(2, 3, 4),
    "right": normal(2, 5, 4),
    "swapped": normal(2, 4, 3),
    "query": normal(2, 3, 4, 5),
    "key": normal(2, 5, 4, 6),
    "classes": np.array([2, 0, 1], np.int32),
    "sizes": np.array([2, 3], np.int32),
    "limit": np.array([9], np.int32),
}


def t(array):
    tensor = torch.from_numpy(np.asarray(array))
    return tensor.double() if tensor.dtype.is_floating_point else tensor


def save(program, target, path):
    """Write the package of a program made with coremltools' builder, unoptimized."""
    with quiet():
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=target,
            compute_precision=ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )
    write_package(model.get_spec(), Path(model.weights_dir), path)


def spec(array):
    types = {
        "float32": ct.converters.mil.mil.types.fp32,
        "int32": ct.converters.mil.mil.types.int32,
    }
    return mb.TensorSpec(shape=array.shape, dtype=types[str(array.dtype)])


def column(values):
    return t(values).reshape(-1, 1, 1)


def builder(kind):
    return lambda x: getattr(mb, kind)(x=x)


def binary_builder(kind):
    return lambda x, y: getattr(mb, kind)(x=x, y=y)


def comparison_builder(kind):
    return lambda whole, other: mb.cast(x=getattr(mb, kind)(x=whole, y=other), dtype="fp32")


def logic_builder(kind):
    def build(whole, other):
        signs = mb.greater(x=whole, y=0.0), mb.greater(x=other, y=0.0)
        return mb.cast(x=getattr(mb, kind)(x=signs[0], y=signs[1]), dtype="int32")

    return build


def reduction_builder(kind):
    return lambda positive: getattr(mb, kind)(x=positive, axes=[1, -1], keep_dims=True)


UNARY = {
    kind: (builder(kind), reference)
    for kind, reference in {
        "abs": torch.abs,
        "atan": torch.atan,
        "ceil": torch.ceil,
        "cos": torch.cos,
        "cosh": torch.cosh,
        "erf": torch.erf,
        "exp": torch.exp,
        "exp2": torch.exp2,
        "floor": torch.floor,
        "identity": torch.clone,
        "relu": F.relu,
        "round": torch.round,
        "sigmoid": torch.sigmoid,
        "sign": torch.sign,
        "silu": F.silu,
        "sin": torch.sin,
        "sinh": torch.sinh,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "square": torch.square,
        "tan": torch.tan,
        "tanh": torch.tanh,
    }.items()
}
LIMITED_DOMAIN = {
    "acos": (lambda unit: mb.acos(x=unit), torch.acos),
    "asin": (lambda unit: mb.asin(x=unit), torch.asin),
    "atanh": (lambda unit: mb.atanh(x=unit), torch.atanh),
    "relu6": (lambda x: mb.relu6(x=mb.mul(x=x, y=4.0)), lambda x: F.relu6(4 * x)),
    "sqrt": (lambda positive: mb.sqrt(x=positive), torch.sqrt),
}
BINARY = {
    kind: (binary_builder(kind), reference)
    for kind, reference in {
        "add": torch.add,
        "floor_div": lambda x, y: torch.floor(x / y),
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "mod": torch.remainder,
        "mul": torch.mul,
        "real_div": torch.div,
        "sub": torch.sub,
    }.items()
}
COMPARISONS = {
    kind: (comparison_builder(kind), lambda a, b, f=reference: f(a, b).double())
    for kind, reference in {
        "equal": torch.eq,
        "greater": torch.gt,
        "greater_equal": torch.ge,
        "less": torch.lt,
        "less_equal": torch.le,
        "not_equal": torch.ne,
    }.items()
}
LOGIC = {
    kind: (logic_builder(kind), lambda a, b, f=reference: f(a > 0, b > 0).int())
    for kind, reference in {
        "logical_and": torch.logical_and,
        "logical_or": torch.logical_or,
        "logical_xor": torch.logical_xor,
    }.items()
}
REDUCTIONS = {
    kind: (reduction_builder(kind), reference)
    for kind, reference in {
        "reduce_l1_norm": lambda x: x.abs().sum((1, 3), keepdim=True),
        "reduce_l2_norm": lambda x: torch.linalg.vector_norm(x, dim=(1, 3), keepdim=True),
        "reduce_log_sum": lambda x: x.sum((1, 3), keepdim=True).log(),
        "reduce_log_sum_exp": lambda x: torch.logsumexp(x, (1, 3), keepdim=True),
        "reduce_max": lambda x: x.amax((1, 3), keepdim=True),
        "reduce_mean": lambda x: x.mean((1, 3), keepdim=True),
        "reduce_min": lambda x: x.amin((1, 3), keepdim=True),
        "reduce_prod": lambda x: x.prod(3, keepdim=True).prod(1, keepdim=True),
        "reduce_sum": lambda x: x.sum((1, 3), keepdim=True),
        "reduce_sum_square": lambda x: (x * x).sum((1, 3), keepdim=True),
    }.items()
}


ACTIVATIONS = {
    "clamped_relu": (
        lambda x: mb.clamped_relu(x=x, alpha=0.3, beta=0.8),
        lambda x: torch.where(x >= 0, x, 0.3 * x).clamp(max=0.8),
    ),
    "clip": (lambda x: mb.clip(x=x, alpha=-0.5, beta=0.7), lambda x: x.clamp(-0.5, 0.7)),
    "elu": (lambda x: mb.elu(x=x, alpha=0.7), lambda x: F.elu(x, 0.7)),
    "gelu": (lambda x: mb.gelu(x=x), F.gelu),
    "gelu tanh": (
        lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        lambda x: F.gelu(x, approximate="tanh"),
    ),
    "gelu sigmoid": (
        lambda x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        lambda x: x / (1 + torch.exp(-1.702 * x)),
    ),
    "inverse": (lambda x: mb.inverse(x=x, epsilon=0.25), lambda x: 1 / (x + 0.25)),
    "leaky_relu": (lambda x: mb.leaky_relu(x=x, alpha=0.2), lambda x: F.leaky_relu(x, 0.2)),
    "linear_activation": (
        lambda x: mb.linear_activation(x=x, alpha=2.0, beta=-0.5),
        lambda x: 2 * x - 0.5,
    ),
    "prelu": (
        lambda x: mb.prelu(x=x, alpha=CHANNEL),
        lambda x: torch.where(x > 0, x, x * column(CHANNEL)),
    ),
    "scaled_tanh": (
        lambda x: mb.scaled_tanh(x=x, alpha=1.7, beta=0.6),
        lambda x: 1.7 * torch.tanh(0.6 * x),
    ),
    "sigmoid_hard": (
        lambda x: mb.sigmoid_hard(x=x, alpha=0.4, beta=0.3),
        lambda x: (0.4 * x + 0.3).clamp(0, 1),
    ),
    "softmax": (lambda x: mb.softmax(x=x, axis=1), lambda x: torch.softmax(x, 1)),
    "softplus_parametric": (
        lambda x: mb.softplus_parametric(x=x, alpha=CHANNEL, beta=VARIANCE),
        lambda x: column(CHANNEL) * torch.log1p(torch.exp(column(VARIANCE) * x)),
    ),
    "threshold": (lambda x: mb.threshold(x=x, alpha=0.2), lambda x: x.clamp(min=0.2)),
    "thresholded_relu": (
        lambda x: mb.thresholded_relu(x=x, alpha=-0.4),
        lambda x: torch.where(x >= -0.4, x, 0.0),
    ),
}
NORMALIZATIONS = {
    "batch_norm": (
        lambda x: mb.batch_norm(
            x=x, mean=CHANNEL, variance=VARIANCE, gamma=VARIANCE, beta=CHANNEL, epsilon=0.1
        ),
        lambda x: (
            (x - column(CHANNEL)) / (column(VARIANCE) + 0.1).sqrt() * column(VARIANCE)
            + column(CHANNEL)
        ),
    ),
    "instance_norm": (
        lambda x: mb.instance_norm(x=x, gamma=VARIANCE, beta=CHANNEL, epsilon=0.1),
        lambda x: F.instance_norm(x, weight=t(VARIANCE), bias=t(CHANNEL), eps=0.1),
    ),
    "l2_norm": (
        lambda x: mb.l2_norm(x=x, epsilon=0.1),
        lambda x: x / ((x * x).sum((1, 2, 3), keepdim=True) + 0.1).sqrt(),
    ),
    "layer_norm": (
        lambda x: mb.layer_norm(x=x, axes=[-1], gamma=VARIANCE[:5], beta=CHANNEL[:5], epsilon=0.1),
        lambda x: F.layer_norm(x, (5,), t(VARIANCE[:5]), t(CHANNEL[:5]), 0.1),
    ),
    "local_response_norm": (
        lambda x: mb.local_response_norm(x=x, size=3, alpha=0.9, beta=0.6, k=1.5),
        lambda x: F.local_response_norm(x, 3, 0.9, 0.6, 1.5),
    ),
}
PADS = {
    "pad": (
        lambda x: mb.pad(x=x, pad=[1, 2, 0, 3], constant_val=0.5),
        lambda x: F.pad(x, (0, 3, 1, 2), value=0.5),
    ),
    "pad reflect": (
        lambda x: mb.pad(x=x, pad=[0, 0, 0, 0, 3, 2, 4, 1], mode="reflect"),
        lambda x: F.pad(x, (4, 1, 3, 2), mode="reflect"),
    ),
    "pad replicate": (
        lambda x: mb.pad(x=x, pad=[0, 0, 0, 0, 3, 2, 4, 1], mode="replicate"),
        lambda x: F.pad(x, (4, 1, 3, 2), mode="replicate"),
    ),
}


def conv(**arguments):
    return lambda x: mb.conv(x=x, weight=WEIGHT, bias=BIAS, groups=2, **arguments)


def conv_reference(pads, **arguments):
    return lambda x: F.conv2d(F.pad(x, pads), t(WEIGHT), t(BIAS), groups=2, **arguments)


def conv_transpose(**arguments):
    return lambda x: mb.conv_transpose(x=x, weight=TRANSPOSED, bias=BIAS, groups=2, **arguments)


CONVOLUTIONS = {
    "conv valid": (
        conv(pad_type="valid", strides=[2, 1]),
        conv_reference((0, 0, 0, 0), stride=(2, 1)),
    ),
    "conv custom": (
        conv(pad_type="custom", pad=[2, 0, 1, 3], dilations=[1, 2]),
        conv_reference((1, 3, 2, 0), dilation=(1, 2)),
    ),
    # 7 rows at stride 2 make 4: (4 − 1)·2 + 3 − 7 = 2 to pad; 5 columns at stride 2 make 3: 1.
    "conv same": (
        conv(pad_type="same", strides=[2, 2]),
        conv_reference((0, 1, 1, 1), stride=(2, 2)),
    ),
    "conv same_lower": (
        conv(pad_type="same_lower", strides=[2, 2]),
        conv_reference((1, 0, 1, 1), stride=(2, 2)),
    ),
    "conv_transpose valid": (
        conv_transpose(strides=[2, 3]),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), (2, 3), groups=2),
    ),
    "conv_transpose custom": (
        conv_transpose(strides=[2, 1], dilations=[1, 2], pad_type="custom", pad=[1, 1, 1, 1]),
        lambda x: F.conv_transpose2d(
            x, t(TRANSPOSED), t(BIAS), (2, 1), 1, groups=2, dilation=(1, 2)
        ),
    ),
    "conv_transpose shape": (
        conv_transpose(
            strides=[2, 2], pad_type="custom", pad=[1, 1, 0, 0], output_shape=[2, 4, 14, 11]
        ),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), 2, (1, 0), (1, 1), groups=2),
    ),
    "conv_transpose same": (
        conv_transpose(strides=[2, 2], pad_type="same"),
        lambda x: F.conv_transpose2d(x, t(TRANSPOSED), t(BIAS), 2, groups=2)[:, :, :14, :10],
    ),
}


def pool(kind, **arguments):
    return lambda x: getattr(mb, kind)(x=x, **{"kernel_sizes": [3, 2], **arguments})


# Padded to 9 × 7, the last windows end at 10 × 8: they overhang.
CEIL = {"kernel_size": 4, "stride": (3, 2), "padding": 1, "ceil_mode": True}
MIL_CEIL = {
    "kernel_sizes": [4, 4],
    "strides": [3, 2],
    "pad_type": "custom",
    "pad": [1, 1, 1, 1],
    "ceil_mode": True,
}
POOLS = {
    "max_pool valid": (
        pool("max_pool", pad_type="valid", strides=[2, 1]),
        lambda x: F.max_pool2d(x, (3, 2), (2, 1)),
    ),
    "max_pool custom": (
        pool("max_pool", pad_type="custom", pad=[2, 0, 1, 0], strides=[1, 2]),
        lambda x: F.max_pool2d(F.pad(x, (1, 0, 2, 0), value=-math.inf), (3, 2), (1, 2)),
    ),
    "max_pool same": (
        pool("max_pool", pad_type="same", strides=[2, 2]),
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-math.inf), (3, 2), 2),
    ),
    "max_pool same_lower": (
        pool("max_pool", pad_type="same_lower", strides=[2, 2]),
        lambda x: F.max_pool2d(F.pad(x, (1, 0, 1, 1), value=-math.inf), (3, 2), 2),
    ),
    "max_pool ceil": (
        pool("max_pool", **MIL_CEIL),
        lambda x: F.max_pool2d(x, **CEIL),
    ),
    "avg_pool valid": (
        pool("avg_pool", pad_type="valid", strides=[2, 1]),
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1)),
    ),
    "avg_pool custom": (
        pool("avg_pool", pad_type="custom", pad=[2, 0, 1, 0], strides=[1, 2]),
        lambda x: F.avg_pool2d(F.pad(x, (1, 0, 2, 0)), (3, 2), (1, 2)),
    ),
    "avg_pool exclude": (
        pool(
            "avg_pool",
            pad_type="custom",
            pad=[1, 1, 1, 1],
            strides=[2, 2],
            exclude_padding_from_average=True,
        ),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, count_include_pad=False),
    ),
    "avg_pool ceil": (
        pool("avg_pool", **MIL_CEIL),
        lambda x: F.avg_pool2d(x, **CEIL),
    ),
    "avg_pool ceil exclude": (
        pool("avg_pool", **MIL_CEIL, exclude_padding_from_average=True),
        lambda x: F.avg_pool2d(x, **CEIL, count_include_pad=False),
    ),
    "max_pool ceil plain": (
        pool("max_pool", pad_type="valid", strides=[3, 2], ceil_mode=True),
        lambda x: F.max_pool2d(x, (3, 2), (3, 2), ceil_mode=True),
    ),
}


def resized(**arguments):
    return lambda x: F.interpolate(x, **arguments)


RESIZES = {
    "crop": (
        lambda x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]),
        lambda x: x[:, :, 1:5, :2],
    ),
    "upsample_nearest_neighbor": (
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
        resized(size=(14, 15), mode="nearest"),
    ),
    "resize_nearest_neighbor": (
        lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=9, target_size_width=4),
        resized(size=(9, 4), mode="nearest"),
    ),
    "upsample_bilinear corners": (
        lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3),
        resized(size=(14, 15), mode="bilinear", align_corners=True),
    ),
    "upsample_bilinear centres": (
        lambda x: mb.upsample_bilinear(
            x=x, scale_factor_height=2, scale_factor_width=3, align_corners=False
        ),
        resized(size=(14, 15), mode="bilinear", align_corners=False),
    ),
    "resize_bilinear corners": (
        lambda x: mb.resize_bilinear(
            x=x,
            target_size_height=10,
            target_size_width=4,
            sampling_mode="STRICT_ALIGN_CORNERS",
        ),
        resized(size=(10, 4), mode="bilinear", align_corners=True),
    ),
    "resize_bilinear unaligned": (
        lambda x: mb.resize_bilinear(
            x=x, target_size_height=10, target_size_width=4, sampling_mode="UNALIGN_CORNERS"
        ),
        resized(size=(10, 4), mode="bilinear", align_corners=False),
    ),
}
ROWS = np.array([[1, 0, 2, 1, 0, 1, 1]] * 2, np.int32).reshape(2, 1, 7, 1)
LAYOUT = {
    "argsort": (lambda x: mb.argsort(x=x, axis=1), lambda x: x.argsort(1, descending=True)),
    "band_part": (lambda x: mb.band_part(x=x, lower=1, upper=2), lambda x: x.triu(-1).tril(2)),
    "cast": (lambda x: mb.cast(x=x, dtype="int32"), lambda x: x.trunc()),
    "concat": (lambda x: mb.concat(values=[x, x], axis=-1), lambda x: torch.cat([x, x], -1)),
    "concat interleave": (
        lambda x: mb.concat(values=[x, mb.square(x=x)], axis=1, interleave=True),
        lambda x: torch.stack([x, x * x], 2).flatten(1, 2),
    ),
    "cumsum": (lambda x: mb.cumsum(x=x, axis=2), lambda x: x.cumsum(2)),
    "cumsum reverse": (
        lambda x: mb.cumsum(x=x, axis=2, reverse=True, exclusive=True),
        lambda x: x.flip(2).cumsum(2).flip(2) - x,
    ),
    "expand_dims": (
        lambda x: mb.expand_dims(x=mb.reduce_mean(x=x, axes=[1, 3]), axes=[-1, 0]),
        lambda x: x.mean((1, 3))[None, ..., None],
    ),
    "fill_like": (
        lambda x: mb.fill_like(ref_tensor=x, value=1.5),
        lambda x: torch.full_like(x, 1.5),
    ),
    "flatten2d": (lambda x: mb.flatten2d(x=x, axis=2), lambda x: x.reshape(12, 35)),
    "gather": (lambda x: mb.gather(x=x, indices=INDEX, axis=1), lambda x: x[:, [2, 0, -1]]),
    "gather_along_axis": (
        lambda x: mb.gather_along_axis(x=x, indices=np.tile(ROWS, (1, 6, 1, 5)), axis=2),
        lambda x: x.gather(2, t(np.tile(ROWS, (1, 6, 1, 5))).long()),
    ),
    "gather_nd": (
        lambda x: mb.gather_nd(x=x, indices=np.array([[1, 2], [0, 5]], np.int32)),
        lambda x: torch.stack([x[1, 2], x[0, 5]]),
    ),
    "log": (
        lambda x: mb.log(x=mb.square(x=x), epsilon=0.3),
        lambda x: torch.log(x * x + 0.3),
    ),
    "logical_not": (
        lambda x: mb.cast(x=mb.logical_not(x=mb.greater(x=x, y=0.1)), dtype="fp32"),
        lambda x: (x <= 0.1).double(),
    ),
    "pow": (lambda x: mb.pow(x=mb.square(x=x), y=1.3), lambda x: (x * x) ** 1.3),
    "reduce_argmax": (
        lambda x: mb.reduce_argmax(x=x, axis=1, keep_dims=True),
        lambda x: x.argmax(1, keepdim=True),
    ),
    "reduce_argmin": (lambda x: mb.reduce_argmin(x=x, axis=2), lambda x: x.argmin(2)),
    "reduce_mean all": (lambda x: mb.reduce_mean(x=x), lambda x: x.mean()),
    "reshape": (lambda x: mb.reshape(x=x, shape=[0, 3, -1, 10]), lambda x: x.reshape(2, 3, 7, 10)),
    "reverse": (lambda x: mb.reverse(x=x, axes=[1, -1]), lambda x: x.flip(1, 3)),
    "rsqrt": (
        lambda x: mb.rsqrt(x=mb.square(x=x), epsilon=0.3),
        lambda x: 1 / torch.sqrt(x * x + 0.3),
    ),
    "scatter": (
        lambda x: mb.scatter(
            data=x, indices=[4, 1], updates=np.ones((2, 2, 7, 5), np.float32), axis=1
        ),
        lambda x: x + torch.tensor([0, 1, 0, 0, 1, 0]).reshape(6, 1, 1),
    ),
    "scatter update": (
        lambda x: mb.scatter(
            data=x, indices=[4], updates=np.ones((2, 1, 7, 5), np.float32), axis=1, mode="update"
        ),
        lambda x: torch.cat([x[:, :4], torch.ones(2, 1, 7, 5), x[:, 5:]], 1),
    ),
    "scatter_along_axis": (
        lambda x: mb.scatter_along_axis(
            data=x, indices=np.tile(ROWS, (1, 6, 1, 5)), updates=x, axis=2
        ),
        lambda x: x.scatter_add(2, t(np.tile(ROWS, (1, 6, 1, 5))).long(), x),
    ),
    "scatter_nd": (
        lambda x: mb.scatter_nd(
            data=x, indices=[[1, 2]], updates=np.ones((1, 7, 5), np.float32), mode="update"
        ),
        lambda x: torch.where(torch.arange(12).reshape(2, 6, 1, 1) == 8, 1.0, x),
    ),
    "select": (
        lambda x: mb.select(cond=mb.greater(x=x, y=0.0), a=x, b=mb.square(x=x)),
        lambda x: torch.where(x > 0, x, x * x),
    ),
    "shape": (lambda x: mb.shape(x=x), lambda x: torch.tensor(x.shape)),
    "slice_by_index": (
        lambda x: mb.slice_by_index(
            x=x,
            begin=[0, -5, 6, 2],
            end=[0, -1, 0, 0],
            stride=[1, 2, -3, 1],
            begin_mask=[True, False, False, False],
            end_mask=[True, False, False, False],
            squeeze_mask=[False, False, False, True],
        ),
        lambda x: x[:, -5:-1:2][:, :, [6, 3], 2],
    ),
    "slice_by_size": (
        lambda x: mb.slice_by_size(x=x, begin=[0, -3, 1, 2], size=[2, 2, -1, 1]),
        lambda x: x[:, 3:5, 1:, 2:3],
    ),
    "split": (lambda x: mb.split(x=x, axis=1, num_splits=3), lambda x: x.split(2, 1)),
    "split sizes": (
        lambda x: mb.split(x=x, axis=-1, split_sizes=[1, 4]),
        lambda x: x.split([1, 4], -1),
    ),
    "squeeze": (
        lambda x: mb.squeeze(x=mb.reduce_mean(x=x, axes=[1, 2], keep_dims=True), axes=[1]),
        lambda x: x.mean((1, 2)).unsqueeze(1),
    ),
    "stack": (lambda x: mb.stack(values=[x, x], axis=2), lambda x: torch.stack([x, x], 2)),
    "tile": (lambda x: mb.tile(x=x, reps=[1, 2, 1, 3]), lambda x: x.repeat(1, 2, 1, 3)),
    "topk": (lambda x: mb.topk(x=x, k=3, axis=1), lambda x: list(x.topk(3, 1))),
    "topk ascending": (
        lambda x: mb.topk(x=x, k=2, axis=2, ascending=True),
        lambda x: list(x.topk(2, 2, largest=False)),
    ),
    "transpose": (lambda x: mb.transpose(x=x, perm=[0, 3, -3, 2]), lambda x: x.permute(0, 3, 1, 2)),
}
OTHERS = {
    "depth_to_space": (
        lambda image: mb.depth_to_space(x=image, block_size=2),
        # Block-major: channel b·C + c goes to offset b of channel c.
        lambda x: F.pixel_shuffle(x.reshape(1, 4, 2, 6, 4).transpose(1, 2).flatten(1, 2), 2),
    ),
    "space_to_depth": (
        lambda image: mb.space_to_depth(x=image, block_size=2),
        lambda x: F.pixel_unshuffle(x, 2).reshape(1, 8, 4, 3, 2).transpose(1, 2).flatten(1, 2),
    ),
    "pixel_shuffle": (
        lambda image: mb.pixel_shuffle(x=image, upscale_factor=2),
        lambda x: F.pixel_shuffle(x, 2),
    ),
    "pixel_unshuffle": (
        lambda image: mb.pixel_unshuffle(x=image, downscale_factor=np.uint32(2)),
        lambda x: F.pixel_unshuffle(x, 2),
    ),
    "linear": (
        lambda matrix: mb.linear(x=matrix, weight=LINEAR, bias=CHANNEL[:5]),
        lambda x: x @ t(LINEAR).T + t(CHANNEL[:5]),
    ),
    "matmul": (
        lambda left, right: mb.matmul(x=left, y=right, transpose_y=True),
        lambda x, y: x @ y.transpose(1, 2),
    ),
    "matmul transpose_x": (
        lambda left, swapped: mb.matmul(x=swapped, y=swapped, transpose_x=True),
        lambda _, y: y.transpose(1, 2) @ y,
    ),
    "einsum": (
        lambda query, key: mb.einsum(values=[query, key], equation="nchw,nwhu->nchu"),
        lambda x, y: (x.transpose(1, 2) @ y.transpose(1, 2)).transpose(1, 2),
    ),
    "one_hot": (
        lambda classes: mb.one_hot(
            indices=classes, one_hot_vector_size=4, on_value=2.5, off_value=-1.0
        ),
        lambda x: torch.eye(4)[x.long()] * 3.5 - 1,
    ),
    "fill": (lambda sizes: mb.fill(shape=sizes, value=0.5), lambda _: torch.full((2, 3), 0.5)),
    "range_1d": (
        lambda limit: mb.range_1d(start=1, end=mb.squeeze(x=limit), step=3),
        lambda _: torch.tensor([1, 4, 7]),
    ),
}
GROUPS = [
    *(UNARY, LIMITED_DOMAIN, BINARY, COMPARISONS, LOGIC, REDUCTIONS, ACTIVATIONS, NORMALIZATIONS),
    *(PADS, CONVOLUTIONS, POOLS, RESIZES, LAYOUT, OTHERS),
]
CASES = {name: case for group in GROUPS for name, case in group.items()}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One package holding every case; returns the evaluated outputs by case."""
    counts = {}

    def everything(
        x, y, unit, positive, whole, other, image, matrix, left, right, swapped, query, key,
        classes, sizes, limit,
    ):  # fmt: skip
        given, outputs = locals(), []
        for name, (build, _) in CASES.items():
            made = build(*(given[argument] for argument in inspect.signature(build).parameters))
            made = [made] if not isinstance(made, (list, tuple)) else list(made)
            counts[name] = len(made)
            outputs += [mb.identity(x=value) for value in made]
        return tuple(outputs)

    with quiet():
        specs = [spec(array) for array in INPUTS.values()]
        program = mb.program(input_specs=specs, opset_version=ct.target.iOS16)(everything)
    path = tmp_path_factory.mktemp("kernels") / "all.mlpackage"
    save(program, ct.target.iOS16, path)
    values = iter(EvaluatorSession(path)(INPUTS).values())
    return {name: [next(values) for _ in range(count)] for name, count in counts.items()}


def check(got, expected):
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    assert len(got) == len(expected)
    for actual, wanted in zip(got, expected, strict=True):
        assert actual.shape == tuple(wanted.shape)
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("name", CASES)
def test_kernel(name, results):
    build, reference = CASES[name]
    arguments = (t(INPUTS[argument]) for argument in inspect.signature(build).parameters)
    check(results[name], reference(*arguments))


def test_kernels_of_newer_systems(tmp_path):
    x, y = normal(2, 2, 4), normal(2, 3, 4)
    with quiet():

        @mb.program(input_specs=[spec(x), spec(y)], opset_version=ct.target.iOS18)
        def program(x, y):
            attention = mb.scaled_dot_product_attention(query=x, key=y, value=y)
            update = mb.slice_by_size(x=x, begin=[0, 0, 0], size=[2, 1, 2])
            return mb.slice_update(
                x=attention, update=update, begin=[0, 1, 0], end=[2, 2, 4], stride=[1, 1, 2]
            )

    save(program, ct.target.iOS18, tmp_path / "new.mlpackage")
    got = EvaluatorSession(tmp_path / "new.mlpackage")({"x": x, "y": y})
    wanted = torch.softmax(t(x) @ t(y).transpose(1, 2) / 2, -1) @ t(y)
    wanted[:, 1:2, ::2] = t(x)[:, :1, :2]
    check(list(got.values()), wanted)


def test_every_kernel_is_covered():
    newer = {"scaled_dot_product_attention", "slice_update"}
    assert {name.split()[0] for name in [*CASES, *newer]} == KERNELS.keys()
