"""Maximum and average of sliding windows, and their gradients, one kernel position after the other."""

from __future__ import annotations

import math

import numpy as np

from netspec.graph.ops.products import Pairs
from netspec_numpy.windows import Array, Windows


def max_pool(
    x: Array,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
) -> Array:
    """y of `ops.MaxPool`."""
    x = _channels_first(x, channels_last)
    windows = Windows.over(x.shape[2:], kernel_size, stride, padding)
    return _back(_max_pool(windows.pad(x, -math.inf), windows), channels_last)


def max_pool_vjp(
    dy: Array,
    x: Array,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
) -> Array:
    """The gradient for x: each window's goes to the first of the equal largest, in row-major order."""
    x, dy = _channels_first(x, channels_last), _channels_first(dy, channels_last)
    windows = Windows.over(x.shape[2:], kernel_size, stride, padding)
    padded = windows.pad(x, -math.inf)
    largest = _max_pool(padded, windows)
    dpadded = windows.zeros(x.shape[:2], x.dtype)
    open_windows = np.ones(largest.shape, bool)
    for offset in windows.offsets():
        found = open_windows & (padded[offset] == largest)
        dpadded[offset] += np.where(found, dy, 0)
        open_windows &= ~found
    return _back(windows.crop(dpadded), channels_last)


def average_pool(
    x: Array,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
) -> Array:
    """y of `ops.AveragePool`."""
    x = _channels_first(x, channels_last)
    windows = Windows.over(x.shape[2:], kernel_size, stride, padding)
    return _back(
        _sum_pool(windows.pad(x), windows) / _divisor(windows, x, count_include_pad, uncounted),
        channels_last,
    )


def average_pool_vjp(
    dy: Array,
    x: Array,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pairs,
    channels_last: bool,
    uncounted: tuple[int, ...],
    count_include_pad: bool,
) -> Array:
    """The gradient for x: each window's is shared evenly by the elements that count."""
    x, dy = _channels_first(x, channels_last), _channels_first(dy, channels_last)
    windows = Windows.over(x.shape[2:], kernel_size, stride, padding)
    share = dy / _divisor(windows, x, count_include_pad, uncounted)
    dpadded = windows.zeros(x.shape[:2], x.dtype)
    for offset in windows.offsets():
        dpadded[offset] += share
    return _back(windows.crop(dpadded), channels_last)


def _max_pool(padded: Array, windows: Windows) -> Array:
    y = np.full((*padded.shape[:2], *windows.counts), -math.inf, padded.dtype)
    for offset in windows.offsets():
        np.maximum(y, padded[offset], out=y)
    return y


def _sum_pool(padded: Array, windows: Windows) -> Array:
    y = np.zeros((*padded.shape[: -len(windows.counts)], *windows.counts), padded.dtype)
    for offset in windows.offsets():
        y += padded[offset]
    return y


def _divisor(windows: Windows, x: Array, count_include_pad: bool, uncounted: tuple[int, ...]) -> Array | int:
    """How many elements each window averages: those of x, and those of the padding that count."""
    counted: Pairs = ((0, 0),) * len(uncounted)
    if count_include_pad:
        counted = tuple((begin, end - less) for (begin, end), less in zip(windows.padding, uncounted, strict=True))
    if counted == windows.padding:
        return math.prod(windows.kernel)
    ones = windows.zeros((), x.dtype)
    sides = zip(windows.sizes, windows.padding, counted, strict=True)
    ones[tuple(slice(begin - more[0], begin + size + more[1]) for size, (begin, _), more in sides)] = 1
    return _sum_pool(ones, windows)


def _channels_first(x: Array, channels_last: bool) -> Array:
    return np.moveaxis(x, -1, 1) if channels_last else x


def _back(y: Array, channels_last: bool) -> Array:
    return np.moveaxis(y, 1, -1) if channels_last else y
