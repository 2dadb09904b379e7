"""Primitives that multiply and sum: matrix product, convolution, transposed convolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.dims import Size, format_shape, product
from netspec.graph.ops.base import Op, Types, require_float
from netspec.graph.types import TensorType, broadcast

Pairs = tuple[tuple[int, int], ...]
SamePadding = Literal["same", "same_lower"]


@dataclass(frozen=True)
class Matmul(Op):
    """y[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]; the leading dimensions broadcast."""

    def infer(self, *inputs: TensorType) -> Types:
        a, b = inputs
        require_float(self, a, b)
        if a.rank < 2 or b.rank < 2 or a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"matrix product of {format_shape(a.shape)} and {format_shape(b.shape)}")
        leading = broadcast([a.shape[:-2], b.shape[:-2]])
        return (TensorType((*leading, a.shape[-2], b.shape[-1])),)

    def macs(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size * inputs[0].shape[-1]

    def reduction_length(self, inputs: Types) -> Size:
        return inputs[0].shape[-1]


def window_size(kernel: int, dilation: int) -> int:
    """How far a kernel reaches: (kernel - 1) * dilation + 1."""
    return (kernel - 1) * dilation + 1


def same_pairs(size: int, window: int, stride: int, lower: bool = False) -> tuple[int, int]:
    """The padding of `same` (semantics of SAME_UPPER): total = max((ceil(in / s) - 1) * s + window - in, 0)."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


@dataclass(frozen=True)
class Convolution(Op):
    """Cross-correlation of x `[batch, in, *spatial]` with weight `[out, in / groups, *kernel]`.

    y[n, o, p] = sum over c, k of x[n, c, p * stride + k * dilation - begin] * weight[o, c, k]. `padding` is a pair
    (begin, end) for each spatial dimension; the words `same` and `same_lower` stand only where a symbolic size and a
    stride above 1 leave the pairs to the call. With `channels_last` x and y are `[batch, *spatial, channels]` and
    the weight is `[*kernel, in / groups, out]`.
    """

    stride: tuple[int, ...]
    padding: Pairs | SamePadding
    dilation: tuple[int, ...]
    groups: int
    channels_last: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        x, weight = inputs
        require_float(self, x, weight)
        spatial, kernel, channels, (out_channels, in_channels) = _parts(x, weight, self.channels_last)
        assert x.rank == weight.rank and channels == in_channels * self.groups, (x, weight, self)
        sizes: list[Size] = []
        for axis, (size, k, stride, dilation) in enumerate(
            zip(spatial, kernel, self.stride, self.dilation, strict=True)
        ):
            if isinstance(self.padding, str):
                sizes.append((size + stride - 1) // stride)
                continue
            begin, end = self.padding[axis]
            sizes.append(window_count(size, window_size(k, dilation), stride, begin, end))
        if self.channels_last:
            return (TensorType((x.shape[0], *sizes, out_channels)),)
        return (TensorType((x.shape[0], out_channels, *sizes)),)

    def macs(self, inputs: Types, outputs: Types) -> Size:
        return outputs[0].size * self.reduction_length(inputs)

    def reduction_length(self, inputs: Types) -> Size:
        x, weight = inputs
        _, kernel, _, (_, in_channels) = _parts(x, weight, self.channels_last)
        return in_channels * product(kernel)


@dataclass(frozen=True)
class TransposedConvolution(Op):
    """The gradient of a Convolution for its input: x `[batch, in, *spatial]`, weight `[in, out / groups, *kernel]`.

    y[n, o, i stride + k dilation - begin] is the sum over all such i, k and over c of x[n, c, i] * weight[c, o, k];
    `padding` is what is cut off (begin, end) along each spatial dimension. A negative end adds zeros, fewer than the
    stride or the dilation. With `channels_last` x and y are `[batch, *spatial, channels]` and the weight is
    `[*kernel, out / groups, in]`: that of the Convolution whose gradient it is.
    """

    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    channels_last: bool = False

    def infer(self, *inputs: TensorType) -> Types:
        x, weight = inputs
        require_float(self, x, weight)
        spatial, kernel, channels, (in_channels, out_channels) = _parts(x, weight, self.channels_last)
        assert x.rank == weight.rank and channels == in_channels, (x, weight, self)
        sizes = [
            transposed_size(*window)
            for window in zip(spatial, kernel, self.stride, self.padding, self.dilation, strict=True)
        ]
        out_channels *= self.groups
        if self.channels_last:
            return (TensorType((x.shape[0], *sizes, out_channels)),)
        return (TensorType((x.shape[0], out_channels, *sizes)),)

    def macs(self, inputs: Types, outputs: Types) -> Size:
        """As torch counts them: each number of x with its whole kernel, also where the end is cut off."""
        x, weight = inputs
        _, kernel, _, (_, out_channels) = _parts(x, weight, self.channels_last)
        return x.size * out_channels * product(kernel)

    def reduction_length(self, inputs: Types) -> Size:
        """Along one dimension a number gets the taps k of one k dilation mod stride: every stride / gcd-th."""
        x, weight = inputs
        _, kernel, _, (in_channels, _) = _parts(x, weight, self.channels_last)
        met = [-(-k * math.gcd(s, d) // s) for k, s, d in zip(kernel, self.stride, self.dilation, strict=True)]
        return in_channels // self.groups * product(met)


def _parts(
    x: TensorType, weight: TensorType, channels_last: bool
) -> tuple[tuple[Size, ...], tuple[int, ...], Size, tuple[int, int]]:
    """Spatial sizes, kernel sizes, channels of x, the first two sizes of the weight in torch's layout."""
    sizes = tuple(size for size in weight.shape if isinstance(size, int))
    assert len(sizes) == weight.rank
    if channels_last:
        return x.shape[1:-1], sizes[:-2], x.shape[-1], (sizes[-1], sizes[-2])
    return x.shape[2:], sizes[2:], x.shape[1], (sizes[0], sizes[1])


def window_count(size: Size, window: int, stride: int, begin: int, end: int) -> Size:
    """(size + begin + end - window) // stride + 1, refused where nothing is left."""
    count = (size + begin + end - window) // stride + 1
    if isinstance(count, int) and count < 1:
        raise ShapeError(
            f"a window of {window} does not fit: {size} + {begin} + {end} of padding is {size + begin + end}"
        )
    return count


def transposed_size(size: Size, kernel: int, stride: int, crop: tuple[int, int], dilation: int) -> Size:
    """(size - 1) * stride + window - begin - end, refused where nothing is left.

    A negative end adds zeros, which are not what is left: of them alone, TensorFlow made one too many.
    """
    window = window_size(kernel, dilation)
    begin, end = crop
    result = (size - 1) * stride + window - begin - end
    if isinstance(result, int) and result + min(end, 0) < 1:
        raise ShapeError(
            f"nothing is left: ({size} - 1) * {stride} + {window} is {(size - 1) * stride + window}, of which padding "
            f"cuts off {begin} and {max(end, 0)}"
        )
    return result
