"""Pooling layers."""

from __future__ import annotations

from typing import Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import format_shape
from netspec.graph.graph import Value
from netspec.graph.ops.pooling import AdaptiveAveragePool, AveragePool, MaxPool
from netspec.graph.ops.products import Pairs
from netspec.layers.base import Layer, pair, require_rank
from netspec.layers.fields import Flag, Numbers2d, Size2d


class MaxPool2d(Layer):
    """The largest number of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    Padding never wins: it counts as -inf. The gradient goes to the first of equals in row-major order. With
    `ceil_mode` the last window may reach beyond the padding, if it starts in front of the padding at the end.
    """

    type: Literal["max_pool2d"] = "max_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: Numbers2d = 0
    ceil_mode: Flag = False

    def expand(self, b: Builder, x: Value) -> Value:
        require_rank(x, 4, "[batch, channels, height, width]")
        kernel, stride, padding = _window(self.kernel_size, self.stride, self.padding)
        if self.ceil_mode:
            padding = _ceil_padding(x, kernel, stride, padding)
        return b.apply(MaxPool(kernel, stride, padding), x)


class AvgPool2d(Layer):
    """The mean of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    The zeros of the padding count as elements, unless `count_include_pad` is false. `ceil_mode` is that of
    max_pool2d; what reaches beyond the padding does not count.
    """

    type: Literal["avg_pool2d"] = "avg_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: Numbers2d = 0
    ceil_mode: Flag = False
    count_include_pad: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        require_rank(x, 4, "[batch, channels, height, width]")
        kernel, stride, padding = _window(self.kernel_size, self.stride, self.padding)
        whole = _ceil_padding(x, kernel, stride, padding) if self.ceil_mode else padding
        beyond = tuple(end - declared for (_, end), (_, declared) in zip(whole, padding, strict=True))
        pool = AveragePool(kernel, stride, whole, uncounted=beyond, count_include_pad=self.count_include_pad)
        return b.apply(pool, x)


class AdaptiveAvgPool2d(Layer):
    """The mean of each bin: x `[batch, channels, height, width]`, y `[batch, channels, *output_size]`.

    Bin i of n reaches from floor(i size / n) to ceil((i + 1) size / n): bins may overlap, and there may be more of them
    than elements (torch's rule). A size that only the call knows has one bin or none.
    """

    type: Literal["adaptive_avg_pool2d"] = "adaptive_avg_pool2d"
    output_size: Size2d

    def expand(self, b: Builder, x: Value) -> Value:
        require_rank(x, 4, "[batch, channels, height, width]")
        output = pair(self.output_size)
        # One bin is the plain mean, whatever the size.
        single = tuple(axis for axis, count in enumerate(output, 2) if count == 1)
        x = b.mean(x, single, keepdims=True) if single else x
        if x.shape[2:] == output:
            return x
        height, width = x.shape[2:]
        if not isinstance(height, int) or not isinstance(width, int):
            unknown = width if isinstance(height, int) else height
            raise ShapeError(f"a size of {unknown} is known to the call alone: its output_size must be 1")
        # Bins of one size that do not overlap are the windows of a plain pool.
        pairs = tuple(zip((height, width), output, strict=True))
        window = tuple(size // count if size % count == 0 else 1 for size, count in pairs)
        if any(step > 1 for step in window):
            x = b.apply(AveragePool(window, window, ((0, 0), (0, 0)), uncounted=(0, 0)), x)
        rest = tuple(size // step for (size, _), step in zip(pairs, window, strict=True))
        return x if rest == output else b.apply(AdaptiveAveragePool(rest, output), x)


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


def _ceil_padding(x: Value, kernel: tuple[int, int], stride: tuple[int, int], padding: Pairs) -> Pairs:
    """The padding with which there are the windows of `ceil_mode`, whatever the size.

    Of ceil(n / s) + 1 windows, n = size + begin + end - k, those are left that start in front of the padding at the
    end, at most floor((size + begin - 1) / s) + 1. With padding for floor(n / s) + 1 windows in its place, that is
    end + s - 1 and k - 1 at the end, of which the smaller holds. A known size needs no more than its last window does.
    """
    found = []
    for size, k, s, (begin, end) in zip(x.shape[2:], kernel, stride, padding, strict=True):
        most = min(end + s, k) - 1
        if isinstance(size, int):
            last = (size + begin + most - k) // s * s + k
            most = max(last - size - begin, end)
        found.append((begin, most))
    return tuple(found)
