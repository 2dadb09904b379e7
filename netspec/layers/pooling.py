"""Pooling layers over one to three spatial axes."""

from __future__ import annotations

from typing import ClassVar, Literal

from netspec.errors import ShapeError
from netspec.graph.builder import Builder
from netspec.graph.dims import Size, format_shape
from netspec.graph.graph import Value
from netspec.graph.ops.pooling import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, MaxPool
from netspec.graph.ops.products import Pairs
from netspec.layers.base import Layer, per_axis, require_floats, require_spatial
from netspec.layers.fields import Flag, Numbers1d, Numbers2d, Numbers3d, Size1d, Size2d, Size3d

Sizes = int | tuple[int, ...]


class WindowPooling(Layer):
    """A window over the last `spatial` axes."""

    spatial: ClassVar[int]
    kernel_size: Sizes
    stride: Sizes | None = None
    padding: Sizes = 0
    ceil_mode: Flag = False

    def window(self) -> tuple[tuple[int, ...], tuple[int, ...], Pairs]:
        """Kernel, stride and padding (begin, end) along each axis."""
        kernel, sides = per_axis(self.kernel_size, self.spatial), per_axis(self.padding, self.spatial)
        for k, side in zip(kernel, sides, strict=True):
            if 2 * side > k:
                raise ShapeError(
                    f"padding {side} is more than half of kernel_size {k}: a window could hold padding alone"
                )
        stride = kernel if self.stride is None else per_axis(self.stride, self.spatial)
        return kernel, stride, tuple((side, side) for side in sides)


class MaxPooling(WindowPooling):
    """The largest number of each window."""

    def expand(self, b: Builder, x: Value) -> Value:
        require_spatial(x, self.spatial)
        kernel, stride, padding = self.window()
        if self.ceil_mode:
            padding = _ceil_padding(x, kernel, stride, padding)
        return b.apply(MaxPool(kernel, stride, padding), x)


class MaxPool1d(MaxPooling):
    """The largest number of each window: x `[batch, channels, length]`; all else is as in max_pool2d."""

    spatial = 1
    type: Literal["max_pool1d"] = "max_pool1d"
    kernel_size: Size1d
    stride: Size1d | None = None
    padding: Numbers1d = 0


class MaxPool2d(MaxPooling):
    """The largest number of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    Padding never wins: it counts as -inf. The gradient goes to the first of equals in row-major order. With
    `ceil_mode` the last window may reach beyond the padding, if it starts in front of the padding at the end.
    """

    spatial = 2
    type: Literal["max_pool2d"] = "max_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: Numbers2d = 0


class MaxPool3d(MaxPooling):
    """The largest number of each window: x `[batch, channels, depth, height, width]`; all else is as in max_pool2d."""

    spatial = 3
    type: Literal["max_pool3d"] = "max_pool3d"
    kernel_size: Size3d
    stride: Size3d | None = None
    padding: Numbers3d = 0


class AvgPooling(WindowPooling):
    """The mean of each window."""

    count_include_pad: Flag = True

    def expand(self, b: Builder, x: Value) -> Value:
        require_spatial(x, self.spatial)
        kernel, stride, padding = self.window()
        whole = _ceil_padding(x, kernel, stride, padding) if self.ceil_mode else padding
        beyond = tuple(end - declared for (_, end), (_, declared) in zip(whole, padding, strict=True))
        pool = AveragePool(kernel, stride, whole, uncounted=beyond, count_include_pad=self.count_include_pad)
        return b.apply(pool, x)


class AvgPool1d(AvgPooling):
    """The mean of each window: x `[batch, channels, length]`; all else is as in avg_pool2d."""

    spatial = 1
    type: Literal["avg_pool1d"] = "avg_pool1d"
    kernel_size: Size1d
    stride: Size1d | None = None
    padding: Numbers1d = 0


class AvgPool2d(AvgPooling):
    """The mean of each window: x `[batch, channels, height, width]`; `stride` is `kernel_size` unless given.

    The zeros of the padding count as elements, unless `count_include_pad` is false. `ceil_mode` is that of
    max_pool2d; what reaches beyond the padding does not count.
    """

    spatial = 2
    type: Literal["avg_pool2d"] = "avg_pool2d"
    kernel_size: Size2d
    stride: Size2d | None = None
    padding: Numbers2d = 0


class AvgPool3d(AvgPooling):
    """The mean of each window: x `[batch, channels, depth, height, width]`; all else is as in avg_pool2d."""

    spatial = 3
    type: Literal["avg_pool3d"] = "avg_pool3d"
    kernel_size: Size3d
    stride: Size3d | None = None
    padding: Numbers3d = 0


class AdaptiveAvgPooling(Layer):
    """The mean of each of so many bins of the last `spatial` axes."""

    spatial: ClassVar[int]
    output_size: Sizes

    def expand(self, b: Builder, x: Value) -> Value:
        require_spatial(x, self.spatial)
        require_floats(x)
        output = per_axis(self.output_size, self.spatial)
        # One bin is the plain mean, whatever the size.
        single = tuple(axis for axis, count in enumerate(output, 2) if count == 1)
        x = b.mean(x, single, keepdims=True) if single else x
        if x.shape[2:] == output:
            return x
        sizes = tuple(_known(size) for size in x.shape[2:])
        # Bins of one size that do not overlap are the windows of a plain pool.
        window = tuple(size // count if size % count == 0 else 1 for size, count in zip(sizes, output, strict=True))
        if any(step > 1 for step in window):
            nothing = ((0, 0),) * self.spatial
            x = b.apply(AveragePool(window, window, nothing, uncounted=(0,) * self.spatial), x)
        rest = tuple(size // step for size, step in zip(sizes, window, strict=True))
        return x if rest == output else b.apply(AdaptiveAveragePool(rest, output), x)


class AdaptiveAvgPool1d(AdaptiveAvgPooling):
    """The mean of each bin: x `[batch, channels, length]`, y `[batch, channels, output_size]`; bins as in 2d."""

    spatial = 1
    type: Literal["adaptive_avg_pool1d"] = "adaptive_avg_pool1d"
    output_size: Size1d


class AdaptiveAvgPool2d(AdaptiveAvgPooling):
    """The mean of each bin: x `[batch, channels, height, width]`, y `[batch, channels, *output_size]`.

    Bin i of n reaches from floor(i size / n) to ceil((i + 1) size / n): bins may overlap, and there may be more of them
    than elements (torch's rule). A size that only the call knows has one bin or none.
    """

    spatial = 2
    type: Literal["adaptive_avg_pool2d"] = "adaptive_avg_pool2d"
    output_size: Size2d


class AdaptiveAvgPool3d(AdaptiveAvgPooling):
    """The mean of each bin: x `[batch, channels, depth, height, width]`, y `[batch, channels, *output_size]`.

    The bins are those of adaptive_avg_pool2d.
    """

    spatial = 3
    type: Literal["adaptive_avg_pool3d"] = "adaptive_avg_pool3d"
    output_size: Size3d


class AdaptiveMaxPooling(Layer):
    """The largest number of each of so many bins of the last `spatial` axes."""

    spatial: ClassVar[int]
    output_size: Sizes

    def expand(self, b: Builder, x: Value) -> Value:
        require_spatial(x, self.spatial)
        require_floats(x)
        output = per_axis(self.output_size, self.spatial)
        if x.shape[2:] == output:
            return x
        # The one bin of a size that only the call knows is all of it.
        pairs = zip(x.shape[2:], output, strict=True)
        sizes = tuple(None if count == 1 and not isinstance(size, int) else _known(size) for size, count in pairs)
        if any(size is None or size % count for size, count in zip(sizes, output, strict=True)):
            return b.apply(AdaptiveMaxPool(sizes, output), x)
        window = tuple(size // count for size, count in zip(sizes, output, strict=True) if size is not None)
        return b.apply(MaxPool(window, window, ((0, 0),) * self.spatial), x)


class AdaptiveMaxPool1d(AdaptiveMaxPooling):
    """The largest number of each bin: x `[batch, channels, length]`, y `[batch, channels, output_size]`.

    Bins and gradient are those of adaptive_max_pool2d.
    """

    spatial = 1
    type: Literal["adaptive_max_pool1d"] = "adaptive_max_pool1d"
    output_size: Size1d


class AdaptiveMaxPool2d(AdaptiveMaxPooling):
    """The largest number of each bin: x `[batch, channels, height, width]`, y `[batch, channels, *output_size]`.

    The bins are those of adaptive_avg_pool2d. The gradient goes to the first of equals in row-major order.
    """

    spatial = 2
    type: Literal["adaptive_max_pool2d"] = "adaptive_max_pool2d"
    output_size: Size2d


class AdaptiveMaxPool3d(AdaptiveMaxPooling):
    """The largest number of each bin: x `[batch, channels, depth, height, width]`, y `[batch, channels, *output_size]`.

    Bins and gradient are those of adaptive_max_pool2d.
    """

    spatial = 3
    type: Literal["adaptive_max_pool3d"] = "adaptive_max_pool3d"
    output_size: Size3d


class GlobalAvgPool(Layer):
    """The mean over all spatial axes: x `[batch, channels, *spatial]`, y `[batch, channels]`."""

    type: Literal["global_avg_pool"] = "global_avg_pool"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.mean(x, _spatial_axes(x))


class GlobalMaxPool(Layer):
    """The maximum over all spatial axes: x `[batch, channels, *spatial]`, y `[batch, channels]`.

    It is a reduction, as in Keras: equals share the gradient evenly. Adaptive and plain pools give it to the first.
    """

    type: Literal["global_max_pool"] = "global_max_pool"

    def expand(self, b: Builder, x: Value) -> Value:
        return b.max(x, _spatial_axes(x))


def _spatial_axes(x: Value) -> tuple[int, ...]:
    if x.type.rank < 3:
        raise ShapeError(f"its input must be [batch, channels, *spatial], got {format_shape(x.shape)}")
    return tuple(range(2, x.type.rank))


def _known(size: Size) -> int:
    if not isinstance(size, int):
        raise ShapeError(f"a size of {size} is known to the call alone: its output_size must be 1")
    return size


def _ceil_padding(x: Value, kernel: tuple[int, ...], stride: tuple[int, ...], padding: Pairs) -> Pairs:
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
