"""What the tests of the reference's primitives share: numbers, calls, and every form of a window."""

import itertools
import math
from typing import Any

import numpy as np

from netspec.graph import ops
from netspec.graph.ops.products import SamePadding
from netspec_numpy.lowerings import LOWERINGS
from netspec_numpy.vjps import VJPS

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]


def normal(*shape: int) -> Array:
    return np.random.default_rng(math.prod(shape)).normal(size=shape) + 0.25


def positive(*shape: int) -> Array:
    return np.abs(normal(*shape)) + 0.5


def spread(*shape: int) -> Array:
    """Numbers on both sides of zero, 0.1 apart from each other and 0.05 from zero, in random order."""
    size = math.prod(shape)
    values = (np.arange(size) - size // 2 + 0.5) / 10
    return np.random.default_rng(size).permutation(values).reshape(shape)


def below_zero(*shape: int) -> Array:
    return spread(*shape) - 100.0


def last(x: Array) -> Array:
    """`[batch, channels, *spatial]` as `[batch, *spatial, channels]`."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def kernel_last(weight: Array) -> Array:
    """`[out, in, *kernel]` as `[*kernel, in, out]`."""
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2)))


def outputs(op: ops.Op, *inputs: Any) -> Arrays:
    found = LOWERINGS[type(op)](*inputs, **vars(op))
    return found if isinstance(found, tuple) else (np.asarray(found),)


def forward(op: ops.Op, *inputs: Any) -> Array:
    """The main output; another one is integers."""
    return outputs(op, *inputs)[0]


def gradients(op: ops.Op, inputs: Arrays, cotangent: Any) -> tuple[Array | None, ...]:
    ys = outputs(op, *inputs)
    cotangents = (cotangent, *map(np.zeros_like, ys[1:]))
    found: tuple[Array | None, ...] = VJPS[type(op)](cotangents, inputs, ys, **vars(op))
    return found


# Kernels below the stride, dilation, one-sided padding, groups with a multiplier, one to three dimensions:
# stride, padding, dilation, groups, shape of x, shape of the weight.
CONVOLUTIONS: dict[str, tuple[Any, Any, Any, int, tuple[int, ...], tuple[int, ...]]] = {
    "plain": ((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (2, 3, 5, 4), (4, 3, 3, 2)),
    "one_sided": ((2, 3), ((0, 1), (2, 0)), (1, 1), 1, (2, 2, 7, 8), (3, 2, 3, 3)),
    "kernel_below_stride": ((3, 2), ((1, 0), (0, 0)), (1, 1), 1, (2, 2, 8, 7), (3, 2, 2, 1)),
    "dilated_groups": ((2, 1), ((1, 2), (0, 3)), (2, 3), 2, (3, 4, 8, 7), (6, 2, 3, 2)),
    "depthwise": ((1, 2), ((1, 1), (1, 0)), (1, 1), 3, (2, 3, 5, 6), (6, 1, 3, 3)),
    "one_dimension": ((3,), ((2, 0),), (2,), 1, (2, 3, 11), (2, 3, 3)),
    "three_dimensions": ((1, 2, 1), ((0, 1), (1, 0), (0, 0)), (1, 1, 2), 2, (1, 4, 4, 5, 5), (2, 2, 2, 3, 2)),
}

# Cut beyond the kernel, zeros behind it, kernels below the stride: as above, the weight `[in, out / groups, *kernel]`.
TRANSPOSED: dict[str, tuple[Any, Any, Any, int, tuple[int, ...], tuple[int, ...]]] = {
    "plain": ((1, 1), ((0, 0), (0, 0)), (1, 1), 1, (2, 3, 3, 4), (3, 4, 3, 2)),
    "one_sided": ((2, 3), ((0, 1), (2, 0)), (1, 1), 1, (2, 2, 3, 4), (2, 3, 3, 3)),
    "zeros_behind": ((3, 1), ((1, -2), (0, -1)), (1, 2), 1, (2, 2, 3, 4), (2, 3, 2, 2)),
    "beyond_the_kernel": ((1, 2), ((3, 2), (4, 0)), (1, 1), 1, (2, 2, 6, 4), (2, 3, 2, 2)),
    "dilated_groups": ((2, 1), ((1, 2), (0, 3)), (2, 3), 2, (3, 4, 4, 3), (4, 3, 3, 2)),
    "depthwise": ((1, 2), ((1, 1), (1, 0)), (1, 1), 3, (2, 3, 3, 4), (3, 1, 3, 3)),
    "one_dimension": ((3,), ((2, 0),), (2,), 1, (2, 3, 4), (3, 2, 3)),
    "three_dimensions": ((1, 2, 1), ((0, 1), (1, 0), (0, 0)), (1, 1, 2), 2, (1, 4, 2, 3, 3), (4, 1, 2, 3, 2)),
}

# Spatial sizes and how many bins.
BINS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "overlapping": ((7, 5), (3, 2)),
    "repeated": ((3, 4), (7, 6)),
    "whole_and_apart": ((6, 6), (1, 3)),
    "one_dimension": ((8,), (5,)),
}

# kernel, stride, padding, shape of x.
POOLS: dict[str, tuple[Any, Any, Any, tuple[int, ...]]] = {
    "overlapping": ((3, 2), (2, 1), ((1, 1), (1, 1)), (2, 3, 7, 6)),
    "one_sided": ((3, 3), (2, 3), ((0, 1), (1, 0)), (2, 2, 8, 7)),
    "kernel_below_stride": ((1, 2), (3, 3), ((0, 0), (1, 1)), (2, 2, 7, 8)),
    "one_dimension": ((4,), (3,), ((2, 0),), (2, 3, 10)),
}


def convolution_cases() -> dict[str, tuple[ops.Op, Arrays]]:
    cases: dict[str, tuple[ops.Op, Arrays]] = {}
    for name, (stride, padding, dilation, groups, x, weight) in CONVOLUTIONS.items():
        inputs = (normal(*x), normal(*weight))
        cases[f"convolution_{name}"] = (ops.Convolution(stride, padding, dilation, groups), inputs)
        rearranged = (last(inputs[0]), kernel_last(inputs[1]))
        cases[f"convolution_{name}_last"] = (ops.Convolution(stride, padding, dilation, groups, True), rearranged)
    for name, (stride, crops, dilation, groups, x, weight) in TRANSPOSED.items():
        inputs = (normal(*x), normal(*weight))
        cases[f"transposed_{name}"] = (ops.TransposedConvolution(stride, crops, dilation, groups), inputs)
        rearranged = (last(inputs[0]), kernel_last(inputs[1]))
        cases[f"transposed_{name}_last"] = (
            ops.TransposedConvolution(stride, crops, dilation, groups, True),
            rearranged,
        )
    words: tuple[SamePadding, ...] = ("same", "same_lower")
    for word in words:
        op = ops.Convolution((2, 3), word, (2, 1), 1)
        cases[f"convolution_{word}"] = (op, (normal(2, 2, 8, 7), normal(3, 2, 3, 2)))
    return cases


def pool_cases() -> dict[str, tuple[ops.Op, Arrays]]:
    cases: dict[str, tuple[ops.Op, Arrays]] = {}
    for name, (kernel, stride, padding, shape) in POOLS.items():
        for channels_last in (False, True):
            x = last(below_zero(*shape)) if channels_last else below_zero(*shape)
            end = "_last" if channels_last else ""
            cases[f"max_pool_{name}{end}"] = (ops.MaxPool(kernel, stride, padding, channels_last), (x,))
            for include, uncounted in itertools.product((False, True), uncounted_of(padding)):
                op = ops.AveragePool(
                    kernel, stride, padding, channels_last, uncounted=uncounted, count_include_pad=include
                )
                cases[f"average_pool_{name}_{include}_{any(uncounted)}{end}"] = (op, (x,))
    return cases


def uncounted_of(padding: Any) -> list[tuple[int, ...]]:
    """All of the padding counts, or none of that at the ends."""
    return [(0,) * len(padding), tuple(end for _, end in padding)]


def bin_cases() -> dict[str, tuple[ops.Op, Arrays]]:
    cases: dict[str, tuple[ops.Op, Arrays]] = {}
    for name, (sizes, counts) in BINS.items():
        x = normal(2, 3, *sizes)
        cases[f"bins_{name}"] = (ops.AdaptiveAveragePool(sizes, counts), (x,))
        cases[f"bins_{name}_last"] = (ops.AdaptiveAveragePool(sizes, counts, channels_last=True), (last(x),))
        x = spread(2, 3, *sizes)
        cases[f"maxima_{name}"] = (ops.AdaptiveMaxPool(sizes, counts), (x,))
        cases[f"maxima_{name}_last"] = (ops.AdaptiveMaxPool(sizes, counts, channels_last=True), (last(x),))
    return cases
