"""Convolution on TensorFlow: the native kernel where its gradient exists and is fast, else a form made of what has one.

EXPLICIT padding is never used: oneDNN does not take gradients of it, which made a step of training 5 times slower, and
with dilation they do not exist at all. SAME where it means the same, else the zeros are added first. So they are with
strides in volumes, where TensorFlow (2.21) errs with SAME: in float64 if a stride exceeds its kernel, and with oneDNN
in the gradient of a kernel of 7 slices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import tensorflow as tf

from netspec.graph.ops.products import Pairs, SamePadding, same_pairs, window_size
from netspec.passes.layouts import kernel_to_last, to_canonical, to_last
from netspec_tensorflow.branches import BRANCHES
from netspec_tensorflow.volumes import convolve_slices, sizes_of


def through_channels_last(lower: Callable[..., tf.Tensor], x: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """What `lower` gives, which runs with channels last, for x and a kernel in the canonical layout."""
    rank = len(x.shape)
    y = lower(tf.transpose(x, to_last(rank)), tf.transpose(weight, kernel_to_last(rank)), channels_last=True)
    return tf.transpose(y, to_canonical(rank))


def convolution(
    x: tf.Tensor,
    weight: tf.Tensor,
    *,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> tf.Tensor:
    """The primitive Convolution; the lowering depends on shapes, dtype and on which kernels TensorFlow has here."""
    if not channels_last:
        last = partial(convolution, stride=stride, padding=padding, dilation=dilation, groups=groups)
        return through_channels_last(last, x, weight)
    if len(stride) == 1:  # a line is an image of one row; its strides are equal, which depthwise kernels want
        pairs = padding if isinstance(padding, str) else ((0, 0), *padding)
        return _of_images(x[:, tf.newaxis], weight[tf.newaxis], stride * 2, pairs, (1, *dilation), groups)[:, 0]
    if len(stride) == 3:
        return _of_volumes(x, weight, stride, padding, dilation, groups)
    return _of_images(x, weight, stride, padding, dilation, groups)


def _of_volumes(
    x: tf.Tensor,
    weight: tf.Tensor,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
) -> tf.Tensor:
    """TensorFlow's kernel has neither groups nor, everywhere, dilation: then a convolution of images for each slice."""
    if groups == 1 and max(dilation) == 1:
        windows = tuple(weight.shape[:-2])
        if max(stride) == 1:
            x, word = padded(x, windows, stride, padding, 0.0)
        else:
            x, word = _with_zeros(x, windows, stride, padding), "VALID"
        x, weight = _in_two_channels(x, weight, stride)
        return tf.nn.conv3d(x, weight, (1, *stride, 1), word)
    if isinstance(padding, str):
        window, lower = window_size(weight.shape[0], dilation[0]), padding == "same_lower"
        depth: tuple[Any, Any] = same_pairs_of(sizes_of(x)[0], window, stride[0], lower)
        pairs: Pairs | SamePadding = padding
    else:
        depth, pairs = padding[0], padding[1:]
    x = tf.pad(x, ((0, 0), depth, (0, 0), (0, 0), (0, 0)))

    def convolve(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return _of_images(images, kernel, stride[1:], pairs, dilation[1:], groups)

    return convolve_slices(x, weight, stride[0], dilation[0], convolve)


def _of_images(
    x: tf.Tensor,
    weight: tf.Tensor,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
) -> tf.Tensor:
    windows = tuple(window_size(k, d) for k, d in zip(weight.shape[:-2], dilation, strict=True))
    x, word = padded(x, windows, stride, padding, 0.0)
    depthwise = groups == x.shape[-1] > 1
    strided, dilated = max(stride) > 1, max(dilation) > 1
    if depthwise and len(set(stride)) == 1 and not (strided and dilated):
        return _depthwise(x, weight, stride, word, dilation)
    if differentiable(x.dtype, grouped=groups > 1, dilated=dilated):
        if groups > 1 or dilated:
            BRANCHES.took("convolution-native")
        if groups == 1:
            x, weight = _in_two_channels(x, weight, stride)
        return tf.nn.conv2d(x, weight, stride, word, dilations=dilation)
    if strided and (depthwise or dilated):
        BRANCHES.took("convolution-positions-strided")
        x = _with_zeros(x, windows, stride, "same") if word == "SAME" else x
        return _positions(x, weight, "VALID", dilation, groups)[:, :: stride[0], :: stride[1]]
    if strided:
        BRANCHES.took("convolution-split")
        return split(x, weight, groups, partial(_plain, stride=stride, word=word))
    BRANCHES.took("convolution-positions")
    return _positions(x, weight, word, dilation, groups)


def padded(
    x: tf.Tensor, windows: tuple[int, ...], stride: tuple[int, ...], padding: Pairs | SamePadding, value: float
) -> tuple[tf.Tensor, str]:
    """x (channels last) and the word, SAME or VALID, that together mean `padding` with `value`.

    TensorFlow's SAME is the language's `same`. With stride 1 its pairs depend on the window alone; with a larger
    stride on the size as well, so a symbolic size never matches there.
    """
    if padding == "same":
        return x, "SAME"
    spatial = tuple(x.shape[1:-1])
    if padding == "same_lower":
        padding = _pairs_of(x, windows, stride, padding)
    elif all(pair == (0, 0) for pair in padding):
        return x, "VALID"
    elif all(
        (step == 1 or size is not None) and pair == same_pairs(window if size is None else size, window, step)
        for size, window, step, pair in zip(spatial, windows, stride, padding, strict=True)
    ):
        return x, "SAME"
    return tf.pad(x, ((0, 0), *padding, (0, 0)), constant_values=tf.cast(value, x.dtype)), "VALID"


def same_pairs_of(size: int | tf.Tensor, window: int, stride: int, lower: bool = False) -> tuple[Any, Any]:
    """`same_pairs` of a size that may be known to the call only."""
    if isinstance(size, int):
        return same_pairs(size, window, stride, lower)
    total = tf.maximum((-(-size // stride) - 1) * stride + window - size, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


@cache
def differentiable(dtype: tf.DType, *, grouped: bool, dilated: bool) -> bool:
    """Whether TensorFlow has gradients of such a convolution here.

    On a CPU only oneDNN's kernels have them, and those are there for float32 and bfloat16 unless
    TF_ENABLE_ONEDNN_OPTS=0; no public function tells, so a small one is tried.
    """
    if not grouped and not dilated:
        return True

    spread = 2 if dilated else 1
    x, weight, y = (1, 4, 4, 2), (2, 2, 1 if grouped else 2, 2), (1, 4 - spread, 4 - spread, 2)
    window = {"strides": (1, 1, 1, 1), "padding": "VALID", "dilations": (1, spread, spread, 1)}

    # In a graph, since oneDNN's kernels are chosen when one is optimised; with arguments, so that nothing is folded.
    @tf.function(autograph=False)
    def gradients(x_value: tf.Tensor, weight_value: tf.Tensor, cotangent: tf.Tensor) -> list[tf.Tensor]:
        return [
            tf.raw_ops.Conv2DBackpropInput(input_sizes=x, filter=weight_value, out_backprop=cotangent, **window),
            tf.raw_ops.Conv2DBackpropFilter(input=x_value, filter_sizes=weight, out_backprop=cotangent, **window),
        ]

    with tf.init_scope():  # now, even while a function is traced
        try:
            gradients(*(tf.ones(shape, dtype) for shape in (x, weight, y)))
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def _positions(x: tf.Tensor, weight: tf.Tensor, word: str, dilation: tuple[int, ...], groups: int) -> tf.Tensor:
    """The convolution at every position (stride 1), of kernels that have gradients everywhere.

    A grouped one is split: one product of all windows with all groups took 4 to 160 times as long. A dilated one is
    made of plain ones on interleaved parts of x, in half the time of a product of the windows.
    """
    if groups == x.shape[-1] > 1:
        return _depthwise(x, weight, (1, 1), word, dilation)

    def plain(part: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        def convolve(spread: tf.Tensor, _: object, padding: str) -> tf.Tensor:
            return tf.nn.conv2d(spread, kernel, 1, padding)

        return tf.nn.with_space_to_batch(part, dilation, word, convolve, filter_shape=kernel.shape)

    return split(x, weight, groups, plain)


def split(
    x: tf.Tensor, weight: tf.Tensor, groups: int, plain: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """One plain convolution for each group."""
    parts, kernels = tf.split(x, groups, axis=-1), tf.split(weight, groups, axis=-1)
    return tf.concat([plain(part, kernel) for part, kernel in zip(parts, kernels, strict=True)], axis=-1)


def _depthwise(
    x: tf.Tensor, weight: tf.Tensor, stride: tuple[int, ...], word: str, dilation: tuple[int, ...]
) -> tf.Tensor:
    """One filter, or several, for each channel. The kernel takes equal strides only, and none beside a dilation."""
    channels = x.shape[-1]
    # Output channel c * M + m belongs to channel c: [kH, kW, 1, C * M] and [kH, kW, C, M] hold the same order.
    kernel = tf.reshape(weight, (*weight.shape[:2], channels, weight.shape[-1] // channels))
    return tf.nn.depthwise_conv2d(x, kernel, (1, *stride, 1), word, dilations=dilation)


def _with_zeros(
    x: tf.Tensor, windows: tuple[int, ...], stride: tuple[int, ...], padding: Pairs | SamePadding
) -> tf.Tensor:
    """x (channels last) with the zeros of its padding."""
    if not isinstance(padding, str) and all(pair == (0, 0) for pair in padding):
        return x
    return tf.pad(x, ((0, 0), *_pairs_of(x, windows, stride, padding), (0, 0)))


def _pairs_of(
    x: tf.Tensor, windows: tuple[int, ...], stride: tuple[int, ...], padding: Pairs | SamePadding
) -> tuple[tuple[Any, Any], ...]:
    """The zeros before and behind along each spatial axis of x, tensors where only the call knows them."""
    if not isinstance(padding, str):
        return padding
    sizes = zip(sizes_of(x), windows, stride, strict=True)
    return tuple(same_pairs_of(*each, lower=padding == "same_lower") for each in sizes)


def _plain(x: tf.Tensor, weight: tf.Tensor, stride: tuple[int, ...], word: str) -> tf.Tensor:
    return tf.nn.conv2d(*_in_two_channels(x, weight, stride), stride, word)


def errs(channels: int, stride: tuple[int, ...]) -> bool:
    """Whether TensorFlow's convolution of so many channels may be wrong.

    That of one channel reads beyond its input (2.21, float32, with oneDNN and without) where the last stride alone of
    two is above 1 and one window fits: two samples of 4 rows of 3 numbers, a kernel of 3 x 3 and a stride of 1 x 2.
    """
    return channels == 1 and stride[-2] == 1 < stride[-1]


def _in_two_channels(x: tf.Tensor, weight: tf.Tensor, stride: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    """x and the kernel, with a second channel of zeros where TensorFlow errs with one."""
    if not errs(weight.shape[-2], stride):
        return x, weight
    BRANCHES.took("convolution-in-two-channels")
    return twice(x, -1), twice(weight, -2)


def twice(x: tf.Tensor, axis: int) -> tf.Tensor:
    """x and as many zeros behind it along an axis; not by tf.pad, which TensorFlow fuses wrongly with a convolution."""
    return tf.concat([x, tf.zeros_like(x)], axis)
