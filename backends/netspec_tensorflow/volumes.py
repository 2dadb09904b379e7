"""Lines and volumes as images: what TensorFlow has for images alone, done for a line or for each slice of a volume.

For volumes it has plain convolutions alone: none in groups, no gradient of dilated ones in float64, and no pooling in
float64 or float16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from netspec.graph.ops.products import window_size


def sizes_of(x: tf.Tensor) -> list[Any]:
    """The spatial sizes of x, channels last: numbers, or tensors where only the call knows them."""
    return with_channels(x)[:-1]


def with_channels(x: tf.Tensor) -> list[Any]:
    """The spatial sizes of x and its channels."""
    sizes = tf.shape(x)
    return [sizes[axis] if size is None else size for axis, size in enumerate(x.shape)][1:]


def as_images(x: tf.Tensor) -> tf.Tensor:
    """`[batch, depth, height, width, channels]` as `[batch * depth, height, width, channels]`."""
    return tf.reshape(x, (-1, *with_channels(x)[1:]))


def as_volumes(images: tf.Tensor, depth: Any) -> tf.Tensor:
    """The images back as slices of `depth`."""
    return tf.reshape(images, (-1, depth, *with_channels(images)))


def convolve_slices(
    x: tf.Tensor, weight: tf.Tensor, stride: int, dilation: int, convolve: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """The sum over the kernel's slices of a convolution of images with each; x has its padding along the depth."""
    taps = weight.shape[0]
    count = (sizes_of(x)[0] - window_size(taps, dilation)) // stride + 1
    parts = []
    for tap in range(taps):
        start = tap * dilation
        met = x[:, start : start + (count - 1) * stride + 1 : stride]
        parts.append(convolve(as_images(met), weight[tap]))
    return as_volumes(tf.add_n(parts), count)


def transpose_slices(
    x: tf.Tensor, weight: tf.Tensor, stride: int, dilation: int, transposed: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """What a transposed convolution of images gives for each slice of the kernel, added at its place of the depth."""
    taps, depth = weight.shape[0], sizes_of(x)[0]
    window = window_size(taps, dilation)
    images = as_images(x)
    parts = []
    for tap in range(taps):
        part = as_volumes(transposed(images, weight[tap]), depth)
        *_, height, width, channels = with_channels(part)
        spread = tf.pad(tf.expand_dims(part, 2), ((0, 0), (0, 0), (0, stride - 1), (0, 0), (0, 0), (0, 0)))
        spread = tf.reshape(spread, (-1, depth * stride, height, width, channels))[:, : (depth - 1) * stride + 1]
        before = tap * dilation
        parts.append(tf.pad(spread, ((0, 0), (before, window - 1 - before), (0, 0), (0, 0), (0, 0))))
    return tf.add_n(parts)
