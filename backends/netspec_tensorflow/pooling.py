"""Pooling on TensorFlow: padding is SAME or added first, as for convolution; explicit lists are 4 times slower."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import tensorflow as tf

from netspec.graph.ops.pooling import bins, borders
from netspec.graph.ops.products import Pairs
from netspec.passes.layouts import to_canonical, to_last
from netspec_tensorflow.convolution import padded
from netspec_tensorflow.volumes import as_images, as_volumes, sizes_of, with_channels


def max_pool(
    x: tf.Tensor,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
) -> tf.Tensor:
    """The primitive MaxPool. TensorFlow's SAME pads with -inf too, and its gradient goes to the first of equals."""
    if not channels_last:
        return _channels_first(max_pool, x, kernel_size=kernel_size, stride=stride, padding=padding)
    if len(stride) == 3:
        return _volumes(max_pool, x, kernel_size=kernel_size, stride=stride, padding=padding)
    x, word = padded(x, kernel_size, stride, padding, float("-inf"))
    return tf.nn.max_pool(x, kernel_size, stride, word)


def average_pool(
    x: tf.Tensor,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
    channels_last: bool,
) -> tf.Tensor:
    """The primitive AveragePool. TensorFlow's SAME leaves the padding out of the count."""
    window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "uncounted": uncounted}
    if not channels_last:
        return _channels_first(average_pool, x, count_include_pad=count_include_pad, **window)
    if len(stride) == 3:
        return _volumes(partial(average_pool, count_include_pad=count_include_pad), x, **window)
    if count_include_pad:  # what counts becomes a part of x
        counted = [(begin, end - less) for (begin, end), less in zip(padding, uncounted, strict=True)]
        x = tf.pad(x, ((0, 0), *counted, (0, 0))) if any(map(any, counted)) else x
        padding = tuple((0, less) for less in uncounted)
    whole, word = padded(x, kernel_size, stride, padding, 0.0)
    mean = tf.nn.avg_pool(whole, kernel_size, stride, word)
    if whole is x:
        return mean
    ones = tf.ones((1, *tf.unstack(tf.shape(x)[1:-1]), 1), x.dtype)
    inside, _ = padded(ones, kernel_size, stride, padding, 0.0)
    return mean / tf.nn.avg_pool(inside, kernel_size, stride, "VALID")


def adaptive_average_pool(
    x: tf.Tensor, *, input_size: tuple[int, ...], output_size: tuple[int, ...], channels_last: bool
) -> tf.Tensor:
    """The primitive AdaptiveAveragePool: sums of the segments between borders of bins, then of those of each bin.

    One dimension goes after the other. The gradient of overlapping slices is 134 ms for 20x20 bins of 32x32, 64
    channels, batch 16; of this it is 4.
    """
    for axis, (size, count) in enumerate(zip(input_size, output_size, strict=True), 1 if channels_last else 2):
        if size != count:
            edges = borders(size, count)
            parts = tf.split(x, [end - start for start, end in pairwise(edges)], axis)
            sums = dict(zip(edges, (tf.reduce_sum(part, axis, keepdims=True) for part in parts), strict=False))
            means = [
                tf.add_n([sums[edge] for edge in edges if start <= edge < end]) / (end - start)
                for start, end in bins(size, count)
            ]
            x = tf.concat(means, axis)
    return x


def adaptive_max_pool(
    x: tf.Tensor, *, input_size: tuple[int | None, ...], output_size: tuple[int, ...], channels_last: bool
) -> tf.Tensor:
    """The primitive AdaptiveMaxPool: as adaptive_average_pool, with the last dimension first."""
    for axis, (size, count) in reversed(
        [*enumerate(zip(input_size, output_size, strict=True), 1 if channels_last else 2)]
    ):
        if size is None:
            x = _first_largest(x, axis)
        elif size != count:
            edges = borders(size, count)
            parts = tf.split(x, [end - start for start, end in pairwise(edges)], axis)
            found = dict(zip(edges, (_first_largest(part, axis) for part in parts), strict=False))
            maxima = [[found[edge] for edge in edges if start <= edge < end] for start, end in bins(size, count)]
            x = tf.concat([reduce(_first_of_two, each) for each in maxima], axis)
    return x


def _first_largest(x: tf.Tensor, axis: int) -> tf.Tensor:
    """The maximum over one axis, which stays as 1; the gradient goes to the first of equals."""
    if x.shape[axis] == 1:
        return x
    place = tf.one_hot(tf.argmax(x, axis), tf.shape(x)[axis], True, False, axis)
    return tf.reduce_sum(tf.where(place, x, tf.zeros((), x.dtype)), axis, keepdims=True)


def _first_of_two(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """The larger; a, and its gradient, where they are equal."""
    return tf.where(b > a, b, a)


def _volumes(pool: Callable[..., tf.Tensor], x: tf.Tensor, **window: tuple[Any, ...]) -> tf.Tensor:
    """Each slice as an image, then along the depth, as an image with all of a slice in one row.

    TensorFlow's kernels for volumes are there for float32 and bfloat16 alone. A mean of means is the mean, as each
    divisor is a product of one for each dimension; the first of equals in a row is found first, as it must be.
    """
    along = {
        name: (values[0], (0, 0) if name == "padding" else int(name != "uncounted")) for name, values in window.items()
    }
    y = as_volumes(
        pool(as_images(x), channels_last=True, **{name: values[1:] for name, values in window.items()}), sizes_of(x)[0]
    )
    if all(pair == (0, 0) for pair in along["padding"]) and along["kernel_size"] == along["stride"] == (1, 1):
        return y
    depth, height, width, channels = with_channels(y)
    y = pool(tf.reshape(y, (-1, depth, height * width, channels)), channels_last=True, **along)
    return tf.reshape(y, (-1, sizes_of(y)[0], height, width, channels))


def _channels_first(pool: Callable[..., tf.Tensor], x: tf.Tensor, **window: Any) -> tf.Tensor:
    rank = len(x.shape)
    return tf.transpose(pool(tf.transpose(x, to_last(rank)), channels_last=True, **window), to_canonical(rank))
