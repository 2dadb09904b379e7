"""Transposed convolution on TensorFlow: its own kernel, the gradient of conv2d, cut to size behind it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import tensorflow as tf

from netspec.graph.ops.products import Pairs, window_size
from netspec_tensorflow.branches import BRANCHES
from netspec_tensorflow.convolution import differentiable, errs, split, through_channels_last, twice
from netspec_tensorflow.volumes import sizes_of, transpose_slices


def transposed_convolution(
    x: tf.Tensor,
    weight: tf.Tensor,
    *,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> tf.Tensor:
    """The primitive TransposedConvolution; the lowering depends on shapes, dtype and on which kernels there are."""
    if not channels_last:
        last = partial(transposed_convolution, stride=stride, padding=padding, dilation=dilation, groups=groups)
        return through_channels_last(last, x, weight)
    if len(stride) == 1:  # a line is an image of one row
        step = stride[0] if groups == x.shape[-1] else 1  # depthwise kernels want equal strides
        x, weight = x[:, tf.newaxis], weight[tf.newaxis]
        return _of_images(x, weight, (step, *stride), ((0, 0), *padding), (1, *dilation), groups)[:, 0]
    if len(stride) == 3:
        return _of_volumes(x, weight, stride, padding, dilation, groups)
    return _of_images(x, weight, stride, padding, dilation, groups)


def _of_volumes(
    x: tf.Tensor,
    weight: tf.Tensor,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
) -> tf.Tensor:
    """TensorFlow's kernel has neither groups nor dilation: then transposed convolutions of images for each slice."""
    if groups == 1 and max(dilation) == 1:
        return _cut(_in_two_channels(partial(_native_volumes, x, stride=stride), weight, stride), padding)

    def transposed(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return _of_images(images, kernel, stride[1:], padding[1:], dilation[1:], groups)

    return _cut(transpose_slices(x, weight, stride[0], dilation[0], transposed), (padding[0], (0, 0), (0, 0)))


def _in_two_channels(native: Callable[[tf.Tensor], tf.Tensor], weight: tf.Tensor, stride: tuple[int, ...]) -> tf.Tensor:
    """What `native` gives for the kernel, with a second channel where its gradient, a convolution, would err."""
    if not errs(weight.shape[-2], stride):
        return native(weight)
    BRANCHES.took("transposed-in-two-channels")
    return native(twice(weight, -2))[..., :1]


def _native_volumes(x: tf.Tensor, weight: tf.Tensor, stride: tuple[int, ...]) -> tf.Tensor:
    sizes = [(n - 1) * step + k for n, step, k in zip(sizes_of(x), stride, weight.shape, strict=False)]
    return tf.raw_ops.Conv3DBackpropInputV2(
        input_sizes=tf.stack([tf.shape(x)[0], *sizes, weight.shape[-2]]),
        filter=weight,
        out_backprop=x,
        strides=(1, *stride, 1),
        padding="VALID",
    )


def _of_images(
    x: tf.Tensor,
    weight: tf.Tensor,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
) -> tf.Tensor:
    windows = tuple(window_size(k, d) for k, d in zip(weight.shape[:2], dilation, strict=True))
    depthwise = groups == x.shape[-1] > 1 and weight.shape[-2] == 1 and stride[0] == stride[1]
    if max(dilation) > 1 and (depthwise or not differentiable(x.dtype, grouped=groups > 1, dilated=True)):
        BRANCHES.took("transposed-spread")
        weight, dilation = _spread(weight, dilation), (1, 1)
    over = [window - step for window, step in zip(windows, stride, strict=True)]
    same = all(more >= 0 and pair == (more // 2, more - more // 2) for more, pair in zip(over, padding, strict=True))
    sizes = [
        n * step if same else (n - 1) * step + window
        for n, step, window in zip(sizes_of(x), stride, windows, strict=True)
    ]
    word = "SAME" if same else "VALID"

    def plain(part: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        native = partial(_native, part, sizes=sizes, stride=stride, word=word, dilation=dilation)
        return _in_two_channels(native, kernel, stride)

    if depthwise:
        y = _depthwise(x, weight, sizes, stride, word)
    elif groups == 1:
        if max(dilation) > 1:
            BRANCHES.took("transposed-native")
        y = plain(x, weight)
    elif differentiable(x.dtype, grouped=True, dilated=max(dilation) > 1):
        BRANCHES.took("transposed-native")
        y = _native(x, weight, sizes, stride, word, dilation, groups)
    else:
        BRANCHES.took("transposed-split")
        y = split(x, weight, groups, plain)
    return y if same else _cut(y, padding)


def _native(
    x: tf.Tensor,
    weight: tf.Tensor,
    sizes: list[int | tf.Tensor],
    stride: tuple[int, ...],
    word: str,
    dilation: tuple[int, ...],
    groups: int = 1,
) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.stack([tf.shape(x)[0], *sizes, weight.shape[-2] * groups]),
        filter=weight,
        out_backprop=x,
        strides=(1, *stride, 1),
        padding=word,
        dilations=(1, *dilation, 1),
    )


def _depthwise(
    x: tf.Tensor, weight: tf.Tensor, sizes: list[int | tf.Tensor], stride: tuple[int, ...], word: str
) -> tf.Tensor:
    """One filter for each channel: `[kH, kW, 1, C]` and the kernel's `[kH, kW, C, 1]` hold the same order."""
    shape = tf.stack([tf.shape(x)[0], *sizes, x.shape[-1]])
    kernel = tf.reshape(weight, (*weight.shape[:2], x.shape[-1], 1))
    return tf.nn.depthwise_conv2d_backprop_input(shape, kernel, x, (1, *stride, 1), word)


def _spread(weight: tf.Tensor, dilation: tuple[int, ...]) -> tf.Tensor:
    """The kernel with zeros between its taps, for which there are gradients everywhere."""
    for axis, step in enumerate(dilation):
        *before, taps = weight.shape[: axis + 1]
        behind = weight.shape[axis + 1 :]
        apart = tf.reshape(weight, (*before, taps, 1, *behind))
        wide = tf.pad(apart, [(0, 0)] * (axis + 1) + [(0, step - 1)] + [(0, 0)] * len(behind))
        whole = tf.reshape(wide, (*before, taps * step, *behind))
        weight = whole[(*[slice(None)] * axis, slice(window_size(taps, step)))]
    return weight


def _cut(y: tf.Tensor, padding: Pairs) -> tf.Tensor:
    """y without what is cut off, and with the zeros that a negative end asks for."""
    kept = [slice(begin, -end if end > 0 else None) for begin, end in padding]
    y = y[(slice(None), *kept)]
    added = [(0, max(-end, 0)) for _, end in padding]
    return tf.pad(y, ((0, 0), *added, (0, 0))) if any(map(any, added)) else y
