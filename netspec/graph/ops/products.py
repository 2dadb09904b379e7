"""Primitives that multiply and sum: matrix product, convolution."""

from __future__ import annotations

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
        spatial, kernel, channels, (out_channels, in_channels) = self._parts(x, weight)
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
        _, kernel, _, (_, in_channels) = self._parts(*inputs)
        return in_channels * product(kernel)

    def _parts(
        self, x: TensorType, weight: TensorType
    ) -> tuple[tuple[Size, ...], tuple[int, ...], Size, tuple[int, int]]:
        """Spatial sizes, kernel sizes, channels of x, (out, in / groups) of the weight."""
        sizes = tuple(size for size in weight.shape if isinstance(size, int))
        assert len(sizes) == weight.rank
        if self.channels_last:
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
