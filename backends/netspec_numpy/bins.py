"""The means of adaptive pooling's bins, one dimension after the other, and their gradient."""

from __future__ import annotations

import numpy as np

from netspec.graph.ops.pooling import bins
from netspec_numpy.windows import Array


def adaptive_average_pool(
    x: Array, input_size: tuple[int, ...], output_size: tuple[int, ...], channels_last: bool
) -> Array:
    """y of `ops.AdaptiveAveragePool`."""
    for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), 1 if channels_last else 2):
        lines = np.moveaxis(x, axis, 0)
        x = np.moveaxis(np.stack([lines[start:end].mean(0) for start, end in bins(size, count)]), 0, axis)
    return x


def adaptive_average_pool_vjp(
    dy: Array, input_size: tuple[int, ...], output_size: tuple[int, ...], channels_last: bool
) -> Array:
    """The gradient for x: each bin's is shared evenly by its elements."""
    for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), 1 if channels_last else 2):
        dlines = np.moveaxis(dy, axis, 0)
        shared = np.zeros((size, *dlines.shape[1:]), dy.dtype)
        for line, (start, end) in zip(dlines, bins(size, count), strict=True):
            shared[start:end] += line / (end - start)
        dy = np.moveaxis(shared, 0, axis)
    return dy
