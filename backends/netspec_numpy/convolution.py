"""Convolution and transposed convolution as one matrix product for each group, and their gradients.

A transposed convolution is the gradient of a convolution for its input, and that convolution is its own.

Inside, axes are `[groups, channels of a group * kernel positions, samples * windows]` ("columns"), whatever the layout
outside, so that groups are a batch of products and a depthwise convolution is no slower for its many groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from netspec.graph.ops.products import Pairs, SamePadding, window_size
from netspec_numpy.windows import Array, Index, Windows

# Columns repeat the input for each kernel position. Samples are taken in parts of at most so many numbers, 128 MB in
# float64 (a single sample may be more).
MAX_COLUMNS = 2**24


def convolution(
    x: Array,
    weight: Array,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> Array:
    """y of `ops.Convolution`."""
    x, weight = _channels_first(x, weight, channels_last)
    windows = Windows.over(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    y = np.empty((len(weight), len(x), *windows.counts), x.dtype)
    for part in _parts(x, windows):
        y[:, part] = (rows @ _columns(x[part], windows, groups)).reshape(y[:, part].shape)
    return np.moveaxis(y, 0, -1 if channels_last else 1)


def convolution_vjp(
    dy: Array,
    x: Array,
    weight: Array,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> tuple[Array, Array]:
    """The gradients for x and weight of `sum(y * dy)`."""
    x, weight = _channels_first(x, weight, channels_last)
    dy = np.moveaxis(dy, -1 if channels_last else 1, 0)
    windows = Windows.over(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    dx = _for_input(dy, weight, windows, groups)
    dweight = _for_weight(dy, x, weight, windows, groups)
    return _back(dx, dweight, channels_last)


def transposed_convolution(
    x: Array,
    weight: Array,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> Array:
    """y of `ops.TransposedConvolution`: zeros where a negative end of the padding asks for more than is reached."""
    x, weight = _channels_first(x, weight, channels_last)
    windows, added = _reached(x, weight, stride, padding, dilation)
    y = np.pad(_for_input(x.swapaxes(0, 1), weight, windows, groups), ((0, 0), (0, 0), *added))
    return np.moveaxis(y, 1, -1) if channels_last else y


def transposed_convolution_vjp(
    dy: Array,
    x: Array,
    weight: Array,
    stride: tuple[int, ...],
    padding: Pairs,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> tuple[Array, Array]:
    """The gradients for x and weight of `sum(y * dy)`."""
    x, weight = _channels_first(x, weight, channels_last)
    windows, _ = _reached(x, weight, stride, padding, dilation)
    dy = np.moveaxis(dy, -1, 1) if channels_last else dy
    reached: Index = (..., *map(slice, windows.sizes))
    dy = dy[reached]
    dx = convolution(dy, weight, stride, windows.padding, dilation, groups, channels_last=False)
    dweight = _for_weight(x.swapaxes(0, 1), dy, weight, windows, groups)
    return _back(dx, dweight, channels_last)


def _reached(
    x: Array, weight: Array, stride: tuple[int, ...], padding: Pairs, dilation: tuple[int, ...]
) -> tuple[Windows, Pairs]:
    """The windows of the convolution whose gradient gives y as far as the kernel reaches, and the zeros behind that."""
    crops = tuple((begin, max(end, 0)) for begin, end in padding)
    sizes = [
        (size - 1) * s + window_size(k, d) - sum(crop)
        for size, k, s, d, crop in zip(x.shape[2:], weight.shape[2:], stride, dilation, crops, strict=True)
    ]
    return Windows.over(sizes, weight.shape[2:], stride, crops, dilation), tuple(
        (0, -min(end, 0)) for _, end in padding
    )


def _for_input(dy: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """The gradient for x `[batch, in, *spatial]`, dy being `[out, batch, *windows]`."""
    rows = weight.reshape(groups, len(weight) // groups, -1)
    dx = np.empty((dy.shape[1], weight.shape[1] * groups, *windows.sizes), dy.dtype)
    for part in _parts(dx, windows):
        dresult = dy[:, part].reshape(groups, len(weight) // groups, -1)
        dx[part] = _add_columns(rows.swapaxes(1, 2) @ dresult, windows, dx[part].shape)
    return dx


def _for_weight(dy: Array, x: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """The gradient for the weight, dy being `[out, batch, *windows]`."""
    drows = np.zeros((groups, len(weight) // groups, math.prod(weight.shape[1:])), weight.dtype)
    for part in _parts(x, windows):
        dresult = dy[:, part].reshape(groups, len(weight) // groups, -1)
        drows += dresult @ _columns(x[part], windows, groups).swapaxes(1, 2)
    return drows.reshape(weight.shape)


def _back(dx: Array, dweight: Array, channels_last: bool) -> tuple[Array, Array]:
    """Both as they are outside."""
    if channels_last:
        return np.moveaxis(dx, 1, -1), np.moveaxis(dweight, (0, 1), (-1, -2))
    return dx, dweight


def _channels_first(x: Array, weight: Array, channels_last: bool) -> tuple[Array, Array]:
    """x as `[batch, in, *spatial]`, weight as `[out, in / groups, *kernel]`: views."""
    if channels_last:
        return np.moveaxis(x, -1, 1), np.moveaxis(weight, (-1, -2), (0, 1))
    return x, weight


def _parts(x: Array, windows: Windows) -> Iterator[slice]:
    """Ranges of samples whose columns fit `MAX_COLUMNS`."""
    of_one = x.shape[1] * math.prod(windows.kernel) * math.prod(windows.counts)
    step = max(1, MAX_COLUMNS // of_one)
    for start in range(0, len(x), step):
        yield slice(start, min(start + step, len(x)))


def _columns(x: Array, windows: Windows, groups: int) -> Array:
    """What every window reads: x `[batch, in, *spatial]` as `[groups, in / groups * kernel, batch * windows]`."""
    padded = windows.pad(x.swapaxes(0, 1))
    read = np.stack([padded[offset] for offset in windows.offsets()], axis=1)
    return read.reshape(groups, len(padded) // groups * math.prod(windows.kernel), -1)


def _add_columns(columns: Array, windows: Windows, shape: tuple[int, ...]) -> Array:
    """The transpose of `_columns`: each number is added where it was read; `shape` is that of x."""
    batch, channels = shape[:2]
    parts = columns.reshape(channels, math.prod(windows.kernel), batch, *windows.counts)
    padded = windows.zeros((channels, batch), columns.dtype)
    for position, offset in enumerate(windows.offsets()):
        padded[offset] += parts[:, position]
    return windows.crop(padded).swapaxes(0, 1)
