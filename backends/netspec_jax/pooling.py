"""Pooling on `[batch, *spatial, channels]`, in the forms that XLA runs fast on a CPU.

The figures in this file are times as parts of those of `lax.reduce_window`, on 2 cores.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from netspec.graph.ops.pooling import bins, borders
from netspec.graph.ops.products import Pairs
from netspec_jax.windows import pad, shifted

# Above this many places in a window, slices make the program long and reduce_window is not so far behind.
MAX_PLACES = 64


def channels_first(form: Callable[..., Any]) -> Callable[..., Any]:
    """`form` for a graph that keeps `[batch, channels, *spatial]`: transposed before and behind."""

    @functools.wraps(form)
    def pool(x: Any, *, channels_last: bool, **attributes: Any) -> Any:
        if channels_last:
            return form(x, **attributes)
        return jnp.moveaxis(form(jnp.moveaxis(x, 1, -1), **attributes), -1, 1)

    return pool


@channels_first
def max_pool(x: Any, *, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs) -> Any:
    """The largest number of each window; the gradient goes to the first of equals.

    A large window goes one dimension after the other: the first of equals in row-major order is also found so, if the
    last dimension goes first.
    """
    if math.prod(kernel_size) <= MAX_PLACES:
        return _largest(x, kernel_size, stride, padding)
    for axis in reversed(range(len(stride))):
        x = _largest_along(x, axis, kernel_size, stride, padding)
    return x


def _largest_along(x: Any, axis: int, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs) -> Any:
    """Maxima of windows along one dimension alone."""
    kernel, step, pads = kernel_size[axis], stride[axis], padding[axis]
    if kernel == step == 1:
        return x
    before, behind = [1] * axis, [1] * (len(stride) - axis - 1)
    border = tuple(pads if each == axis else (0, 0) for each in range(len(stride)))
    if kernel <= MAX_PLACES:
        return _largest(x, (*before, kernel, *behind), (*before, step, *behind), border)
    starts = range(0, x.shape[axis + 1] + sum(pads) - kernel + 1, step)
    if len(starts) > MAX_PLACES:
        return _window(x, -math.inf, lax.max, (*before, kernel, *behind), (*before, step, *behind), border)
    padded = pad(x, border, -math.inf)
    windows = (lax.slice_in_dim(padded, start, start + kernel, axis=axis + 1) for start in starts)
    return jnp.concatenate([_first_largest(window, axis + 1) for window in windows], axis + 1)


def _first_largest(x: Any, axis: int) -> Any:
    """The maximum over one axis, which stays as 1; the gradient goes to the first of equals."""
    if x.shape[axis] == 1:
        return x
    places = lax.broadcasted_iota(jnp.int32, x.shape, axis)
    return jnp.sum(jnp.where(places == jnp.argmax(x, axis, keepdims=True), x, 0), axis, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _largest(x: Any, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs) -> Any:
    """XLA's own form where no gradient follows.

    Shifted slices are twice as fast alone, but behind a convolution they break up what XLA runs as one: inference of
    specs/cnn_mnist.yaml, batch 64, takes 3 times as long with them.
    """
    return _window(x, -math.inf, lax.max, kernel_size, stride, padding)


@_largest.defjvp
def _largest_jvp(
    kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    """The tangent of the first place that holds the largest number.

    A place is remembered by its index, 1 byte, and the gradient is a sum of padded slices, where reduce_window's
    compares all windows again: 0.01 of the time for 2x2 on 64 channels of 24x24, 0.1 for 3x3 with stride 2.
    """
    (x,), (tangent,) = primals, tangents
    best, *others = _slices(x, kernel_size, stride, padding, -math.inf)
    winner = jnp.zeros(best.shape, jnp.int8)
    for place, candidate in enumerate(others, start=1):
        winner = jnp.where(candidate > best, jnp.int8(place), winner)
        best = jnp.maximum(best, candidate)
    moves = _slices(tangent, kernel_size, stride, padding, 0.0)
    return best, sum(jnp.where(winner == place, move, 0) for place, move in enumerate(moves))


@channels_first
def average_pool(
    x: Any,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
) -> Any:
    """The sum of each window over its size, or over how many of its elements count: in x, or in its padding too."""
    counted: Pairs = ((0, 0),) * len(padding)
    if count_include_pad:
        counted = tuple((begin, end - less) for (begin, end), less in zip(padding, uncounted, strict=True))
    total = _sum(x, kernel_size, stride, padding)
    if counted == padding:
        return total / math.prod(kernel_size)
    ones = pad(jnp.ones((1, *x.shape[1:-1], 1), x.dtype), counted, 1.0)
    rest = tuple((begin - more[0], end - more[1]) for (begin, end), more in zip(padding, counted, strict=True))
    return total / _sum(ones, kernel_size, stride, rest)


@channels_first
def adaptive_average_pool(x: Any, *, input_size: tuple[int, ...], output_size: tuple[int, ...]) -> Any:
    """Sums of the segments between the borders of bins, then of those of each bin, along one dimension after the other.

    The gradient of overlapping slices is 14 ms for 20x20 bins of 32x32, 64 channels, batch 16; of this it is 1.
    """
    for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), start=1):
        if size != count:
            edges = borders(size, count)
            parts = lax.split(x, [end - start for start, end in itertools.pairwise(edges)], axis)
            sums = dict(zip(edges, (jnp.sum(part, axis, keepdims=True) for part in parts), strict=False))
            means = [
                sum(sums[edge] for edge in edges if start <= edge < end) / (end - start)
                for start, end in bins(size, count)
            ]
            x = jnp.concatenate(means, axis)
    return x


@channels_first
def adaptive_max_pool(x: Any, *, input_size: tuple[int | None, ...], output_size: tuple[int, ...]) -> Any:
    """Maxima of segments, then of those of each bin, as adaptive_average_pool; the last dimension goes first."""
    for axis, count in reversed([*enumerate(output_size, start=1)]):
        size = x.shape[axis]
        if size != count:
            edges = borders(size, count)
            parts = lax.split(x, [end - start for start, end in itertools.pairwise(edges)], axis)
            found = dict(zip(edges, (_first_largest(part, axis) for part in parts), strict=False))
            maxima = [[found[edge] for edge in edges if start <= edge < end] for start, end in bins(size, count)]
            x = jnp.concatenate([functools.reduce(_first_of_two, each) for each in maxima], axis)
    return x


def _first_of_two(a: Any, b: Any) -> Any:
    """The larger; a, and its gradient, where they are equal."""
    return jnp.where(b > a, b, a)


def _sum(x: Any, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs) -> Any:
    """The sum of the shifted slices where windows overlap, 0.3 of the time; else XLA's own is as fast or faster."""
    apart = all(k <= s for k, s in zip(kernel_size, stride, strict=True))
    if apart or math.prod(kernel_size) > MAX_PLACES:
        return _window(x, 0.0, lax.add, kernel_size, stride, padding)
    return sum(_slices(x, kernel_size, stride, padding, 0.0))


def _slices(x: Any, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, fill: float) -> list[Any]:
    return shifted(x, kernel_size, stride, padding, (1,) * len(stride), fill)


def _window(
    x: Any, start: float, join: Any, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs
) -> Any:
    """lax.reduce_window; its start is a NumPy scalar of x's dtype, so that JAX knows the reduction and its gradient."""
    value = x.dtype.type(start)
    return lax.reduce_window(x, value, join, (1, *kernel_size, 1), (1, *stride, 1), ((0, 0), *padding, (0, 0)))
