"""Pooling layers."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.graph.ops.pooling import AveragePool, MaxPool
from netspec.graph.ops.products import Pairs
from netspec.layers.base import Layer, pair, require_rank
from netspec.layers.fields import Flag, PoolPadding2d, Size2d


class MaxPool2d(Layer):
    """The largest number of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    Padding never wins: it counts as -inf. The gradient goes to the first of equals in row-major order.
    """

    type: Literal["max_pool2d"] = "max_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: PoolPadding2d = 0

    def expand(self, b: Builder, x: Value) -> Value:
        require_rank(x, 4, "[batch, channels, height, width]")
        return b.apply(MaxPool(*_window(self.kernel_size, self.stride, self.padding)), x)


class AvgPool2d(Layer):
    """The mean of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    The zeros of the padding count as elements, unless `count_include_pad` is false.
    """

    type: Literal["avg_pool2d"] = "avg_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: PoolPadding2d = 0
    count_include_pad: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        require_rank(x, 4, "[batch, channels, height, width]")
        window = _window(self.kernel_size, self.stride, self.padding)
        return b.apply(AveragePool(*window, count_include_pad=self.count_include_pad), x)


class GlobalAvgPool(Layer):
    """The mean over all spatial axes: x `[batch, channels, *spatial]`, y `[batch, channels]`."""

    type: Literal["global_avg_pool"] = "global_avg_pool"

    def expand(self, b: Builder, x: Value) -> Value:
        if x.type.rank < 3:
            raise ShapeError(f"its input must be [batch, channels, *spatial], got {format_shape(x.shape)}")
        return b.mean(x, tuple(range(2, x.type.rank)))


def _window(
    kernel_size: int | tuple[int, int], stride: int | tuple[int, int] | None, padding: int | tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int], Pairs]:
    kernel, sides = pair(kernel_size), pair(padding)
    for k, side in zip(kernel, sides, strict=True):
        if 2 * side > k:
            raise ShapeError(f"padding {side} is more than half of kernel_size {k}: a window could hold padding alone")
    return kernel, kernel if stride is None else pair(stride), tuple((side, side) for side in sides)
