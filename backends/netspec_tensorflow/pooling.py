"""Pooling on TensorFlow: padding is SAME or added first, as for convolution; explicit lists are 4 times slower."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import tensorflow as tf

from netspec.graph.ops.pooling import bins, borders
from netspec.graph.ops.products import Pairs
from netspec.passes.channels_last import to_canonical, to_last
from netspec_tensorflow.convolution import padded


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
    if not channels_last:
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "uncounted": uncounted}
        return _channels_first(average_pool, x, count_include_pad=count_include_pad, **window)
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


def _channels_first(pool: Callable[..., tf.Tensor], x: tf.Tensor, **window: Any) -> tf.Tensor:
    rank = len(x.shape)
    return tf.transpose(pool(tf.transpose(x, to_last(rank)), channels_last=True, **window), to_canonical(rank))
