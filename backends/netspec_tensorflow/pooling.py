"""Pooling on TensorFlow: padding is SAME or added first, as for convolution; explicit lists are 4 times slower."""

from __future__ import annotations

import tensorflow as tf

from netspec.graph.ops.products import Pairs
from netspec.passes.channels_last import to_canonical, to_last
from netspec_tensorflow.convolution import padded


def max_pool(
    x: tf.Tensor, *, kernel_size: tuple[int, ...], stride: tuple[int, ...], padding: Pairs, channels_last: bool
) -> tf.Tensor:
    """The primitive MaxPool. TensorFlow's SAME pads with -inf too, and its gradient goes to the first of equals."""
    if not channels_last:
        rank = len(x.shape)
        x = tf.transpose(x, to_last(rank))
        last = max_pool(x, kernel_size=kernel_size, stride=stride, padding=padding, channels_last=True)
        return tf.transpose(last, to_canonical(rank))
    x, word = padded(x, kernel_size, stride, padding, float("-inf"))
    return tf.nn.max_pool(x, kernel_size, stride, word)


def average_pool(
    x: tf.Tensor,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    count_include_pad: bool,
    channels_last: bool,
) -> tf.Tensor:
    """The primitive AveragePool. TensorFlow's SAME leaves the padding out of the count."""
    if not channels_last:
        rank = len(x.shape)
        x = tf.transpose(x, to_last(rank))
        last = average_pool(
            x,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            count_include_pad=count_include_pad,
            channels_last=True,
        )
        return tf.transpose(last, to_canonical(rank))
    if count_include_pad:
        x = tf.pad(x, ((0, 0), *padding, (0, 0))) if any(map(any, padding)) else x
        return tf.nn.avg_pool(x, kernel_size, stride, "VALID")
    whole, word = padded(x, kernel_size, stride, padding, 0.0)
    mean = tf.nn.avg_pool(whole, kernel_size, stride, word)
    if whole is x:
        return mean
    ones = tf.ones((1, *tf.unstack(tf.shape(x)[1:-1]), 1), x.dtype)
    inside, _ = padded(ones, kernel_size, stride, padding, 0.0)
    return mean / tf.nn.avg_pool(inside, kernel_size, stride, "VALID")
