"""Means and maxima of adaptive pooling's bins, one dimension after the other, and their gradients."""

from __future__ import annotations

from collections.abc import Iterator

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


def adaptive_max_pool(
    x: Array, input_size: tuple[int | None, ...], output_size: tuple[int, ...], channels_last: bool
) -> Array:
    """y of `ops.AdaptiveMaxPool`."""
    for axis, _, places in _largest(x, output_size, channels_last):
        x = np.take_along_axis(x, places, axis)
    return x


def adaptive_max_pool_vjp(
    dy: Array, x: Array, input_size: tuple[int | None, ...], output_size: tuple[int, ...], channels_last: bool
) -> Array:
    """The gradient for x: each bin's goes to the first of the equal largest."""
    for axis, size, places in reversed([*_largest(x, output_size, channels_last)]):
        moved = np.zeros((size, *np.delete(dy.shape, axis)), dy.dtype)
        for place, line in zip(np.moveaxis(places, axis, 0), np.moveaxis(dy, axis, 0), strict=True):
            # Bins may overlap, so that one element may have several of them.
            held = np.take_along_axis(moved, place[None], 0)
            np.put_along_axis(moved, place[None], held + line, 0)
        dy = np.moveaxis(moved, 0, axis)
    return dy


def _largest(x: Array, output_size: tuple[int, ...], channels_last: bool) -> Iterator[tuple[int, int, Array]]:
    """Of each dimension, the last first: its axis, its size, and where each bin's first largest element stands."""
    start = 1 if channels_last else 2
    for axis, count in reversed([*enumerate(output_size, start)]):
        lines = np.moveaxis(x, axis, 0)
        places = np.stack([begin + lines[begin:end].argmax(0) for begin, end in bins(len(lines), count)])
        places = np.moveaxis(places, 0, axis)
        yield axis, x.shape[axis], places
        x = np.take_along_axis(x, places, axis)
