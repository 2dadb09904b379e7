"""Convolution layers, and transposed ones, over one to three spatial axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size
from netspec.graph.graph import Value
from netspec.graph.ops.products import (
    Convolution,
    Pairs,
    SamePadding,
    TransposedConvolution,
    same_pairs,
    window_size,
)
from netspec.graph.types import MAX_SIZE
from netspec.layers.base import Layer, per_axis, require_spatial
from netspec.layers.fields import (
    Flag,
    Numbers1d,
    Numbers2d,
    Numbers3d,
    Padding1d,
    Padding2d,
    Padding3d,
    PositiveInt,
    Size1d,
    Size2d,
    Size3d,
    TransposedPadding1d,
    TransposedPadding2d,
    TransposedPadding3d,
)
from netspec.layers.initializers import Uniform
from netspec.layers.linear import uniform_by_fan

Sizes = int | tuple[int, ...]
Sides = Sizes | tuple[tuple[int, int], ...]


def _pad_in_front(spatial: int, padding: int = 1) -> str:
    """What stands in the place of torch's padding_mode."""
    pad = [padding] * (2 * spatial)
    return f"write a layer in front, such as {{type: pad, pad: {pad}, mode: reflect}}, and no padding here"


class Conv(Layer):
    """Cross-correlation over the last `spatial` axes."""

    spatial: ClassVar[int]

    out_channels: PositiveInt
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Sides | SamePadding = 0
    dilation: Sizes = 1
    groups: PositiveInt = 1
    bias: Flag = True

    @classmethod
    def refusal(cls, field: str, values: Mapping[str, object]) -> str | None:
        padding = values.get("padding")
        if field == "padding_mode" and type(padding) is int and 0 < padding <= MAX_SIZE:
            return _pad_in_front(cls.spatial, padding)
        return super().refusal(field, values)

    def expand(self, b: Builder, x: Value) -> Value:
        in_channels = _channels(x, self.spatial, self.out_channels, self.groups)
        kernel, stride, dilation = (
            per_axis(each, self.spatial) for each in (self.kernel_size, self.stride, self.dilation)
        )
        windows = tuple(window_size(k, d) for k, d in zip(kernel, dilation, strict=True))
        padding = padding_pairs(self.padding, x.shape[2:], windows, stride)
        start = uniform_by_fan(in_channels // self.groups * math.prod(kernel))
        weight = b.param("weight", (self.out_channels, in_channels // self.groups, *kernel), start)
        y = b.apply(Convolution(stride, padding, dilation, self.groups), x, weight)
        return _with_bias(b, y, start) if self.bias else y


class Conv1d(Conv):
    """Cross-correlation: x `[batch, in, length]`, weight `[out, in / groups, k]`, bias `[out]`.

    y[n, o, i] = b[o] + sum over c, u of x[n, c, i s - p + u d] w[o, c, u]. Fields and start are those of conv2d.
    """

    spatial = 1
    refused: ClassVar = {"padding_mode": _pad_in_front(1)}
    type: Literal["conv1d"] = "conv1d"
    kernel_size: Size1d
    stride: Size1d = 1
    padding: Padding1d = 0
    dilation: Size1d = 1


class Conv2d(Conv):
    """Cross-correlation: x `[batch, in, height, width]`, weight `[out, in / groups, kH, kW]`, bias `[out]`.

    y[n, o, i, j] = b[o] + sum over c, u, v of x[n, c, i s - p + u d, j s - p + v d] w[o, c, u, v]. `padding` adds
    zeros on both sides, or begin and end of each; `same` gives ceil(size / stride) with the odd zero at the end,
    `same_lower` with it at the start. Starts as torch's: both uniform within 1 / sqrt(in / groups * kH * kW).
    """

    spatial = 2
    refused: ClassVar = {"padding_mode": _pad_in_front(2)}
    type: Literal["conv2d"] = "conv2d"
    kernel_size: Size2d
    stride: Size2d = 1
    padding: Padding2d = 0
    dilation: Size2d = 1


class Conv3d(Conv):
    """Cross-correlation: x `[batch, in, depth, height, width]`, weight `[out, in / groups, kD, kH, kW]`, bias `[out]`.

    y[n, o, h, i, j] = b[o] + sum over c, t, u, v of x[n, c, h s - p + t d, i s - p + u d, j s - p + v d]
    w[o, c, t, u, v]. Fields and start are those of conv2d.
    """

    spatial = 3
    refused: ClassVar = {"padding_mode": _pad_in_front(3)}
    type: Literal["conv3d"] = "conv3d"
    kernel_size: Size3d
    stride: Size3d = 1
    padding: Padding3d = 0
    dilation: Size3d = 1


class ConvTranspose(Layer):
    """The gradient of a convolution over the last `spatial` axes for its input."""

    spatial: ClassVar[int]
    out_channels: PositiveInt
    kernel_size: Sizes
    stride: Sizes = 1
    padding: Sides | Literal["same"] = 0
    output_padding: Sizes = 0
    dilation: Sizes = 1
    groups: PositiveInt = 1
    bias: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        in_channels = _channels(x, self.spatial, self.out_channels, self.groups)
        kernel, stride, dilation = (
            per_axis(each, self.spatial) for each in (self.kernel_size, self.stride, self.dilation)
        )
        of_group, size = self.out_channels // self.groups, math.prod(kernel)
        fan = (in_channels // self.groups * size, of_group * size)
        start = uniform_by_fan(fan[0])
        weight = b.param("weight", (in_channels, of_group, *kernel), start, fan=fan)
        crops = self._crops(kernel, stride, dilation)
        y = b.apply(TransposedConvolution(stride, crops, dilation, self.groups), x, weight)
        return _with_bias(b, y, start) if self.bias else y

    def _crops(self, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> Pairs:
        """What is cut off along each dimension, (begin, end), with the output padding taken off the end."""
        added = per_axis(self.output_padding, self.spatial)
        if self.padding == "same":
            if any(added):
                raise ShapeError("output_padding does not go with padding same, which gives size * stride")
            over = [window_size(k, d) - s for k, d, s in zip(kernel, dilation, stride, strict=True)]
            return tuple((more // 2, more - more // 2) if more > 0 else (0, more) for more in over)
        for more, s, d in zip(added, stride, dilation, strict=True):
            if more >= max(s, d):
                raise ShapeError(f"output_padding {more} is not below the larger of stride {s} and dilation {d}")
        sides = _sides(self.padding, self.spatial)
        return tuple((begin, end - more) for (begin, end), more in zip(sides, added, strict=True))


class ConvTranspose1d(ConvTranspose):
    """The gradient of conv1d for its input: x `[batch, in, length]`, weight `[in, out / groups, k]`, bias `[out]`.

    y[n, o, i s + u d - p] is b[o] plus the sum over all such i, u and over c of x[n, c, i] w[c, o, u]. Sizes, fields
    and start are those of conv_transpose2d.
    """

    spatial = 1
    type: Literal["conv_transpose1d"] = "conv_transpose1d"
    kernel_size: Size1d
    stride: Size1d = 1
    padding: TransposedPadding1d = 0
    output_padding: Numbers1d = 0
    dilation: Size1d = 1


class ConvTranspose2d(ConvTranspose):
    """The gradient of conv2d for its input: x `[batch, in, height, width]`, weight `[in, out / groups, kH, kW]`.

    y[n, o, i s + u d - p, j s + v d - q] is b[o] plus the sum over all such i, u, j, v and over c of x[n, c, i, j]
    w[c, o, u, v]: each size is (size - 1) s + (k - 1) d + 1, less `padding` on both sides, or begin and end of each,
    plus `output_padding` at the end. `same` gives size * s: it cuts off k' - s, k' = (k - 1) d + 1, the odd one at the
    end, and where the kernel does not reach it adds s - k'. Starts as conv2d: both uniform within
    1 / sqrt(in / groups * kH * kW), which is not torch's start (it takes out for in).
    """

    spatial = 2
    type: Literal["conv_transpose2d"] = "conv_transpose2d"
    kernel_size: Size2d
    stride: Size2d = 1
    padding: TransposedPadding2d = 0
    output_padding: Numbers2d = 0
    dilation: Size2d = 1


class ConvTranspose3d(ConvTranspose):
    """The gradient of conv3d: x `[batch, in, depth, height, width]`, weight `[in, out / groups, kD, kH, kW]`.

    y[n, o, h s + t d - p, i s + u d - q, j s + v d - r] is b[o] plus the sum over all such h, t, i, u, j, v and over c
    of x[n, c, h, i, j] w[c, o, t, u, v]. Sizes, fields and start are those of conv_transpose2d.
    """

    spatial = 3
    type: Literal["conv_transpose3d"] = "conv_transpose3d"
    kernel_size: Size3d
    stride: Size3d = 1
    padding: TransposedPadding3d = 0
    output_padding: Numbers3d = 0
    dilation: Size3d = 1


def _with_bias(b: Builder, y: Value, start: Uniform) -> Value:
    """y plus the parameter `bias`, one number for each channel."""
    channels = y.shape[1]
    return y + b.reshape(b.param("bias", (channels,), start), (channels, *[1] * (y.type.rank - 2)))


def _channels(x: Value, spatial: int, out_channels: int, groups: int) -> int:
    """The channels of x, which must be known; both numbers of channels must be divisible by `groups`."""
    require_spatial(x, spatial)
    in_channels = x.shape[1]
    if not isinstance(in_channels, int):
        raise ShapeError(f"the number of channels must be known, got {in_channels}")
    if in_channels % groups:
        raise ShapeError(f"in_channels {in_channels} is not divisible by groups {groups}")
    if out_channels % groups:
        raise ShapeError(f"out_channels {out_channels} is not divisible by groups {groups}")
    return in_channels


def padding_pairs(
    padding: Sides | SamePadding, spatial: tuple[Size, ...], windows: tuple[int, ...], stride: tuple[int, ...]
) -> Pairs | SamePadding:
    """The (begin, end) pairs of a padding field; `same` keeps its word where only the call can tell the pairs."""
    if isinstance(padding, str):
        if any(not isinstance(size, int) and s > 1 for size, s in zip(spatial, stride, strict=True)):
            return padding
        # With stride 1 the pair does not depend on the size, so any will do for a symbolic one.
        sizes = (size if isinstance(size, int) else window for size, window in zip(spatial, windows, strict=True))
        lower = padding == "same_lower"
        return tuple(same_pairs(size, w, s, lower) for size, w, s in zip(sizes, windows, stride, strict=True))
    return _sides(padding, len(stride))


def _sides(padding: Sides, spatial: int) -> Pairs:
    """(begin, end) for each dimension."""
    if isinstance(padding, int):
        padding = (padding,) * spatial
    return tuple((side, side) if isinstance(side, int) else side for side in padding)
