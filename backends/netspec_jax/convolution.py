"""Convolution on `[batch, *spatial, channels]`, in the form that XLA runs fastest on a CPU for the shapes at hand.

XLA's own convolution is best in the middle of the field and 2 to 100 times slower at its borders. The figures in this
file are times as parts of those of `lax.conv_general_dilated`, on 2 cores. Forms with a custom_jvp have no custom_vjp's
price: forward mode and second derivatives work.

Patches for every convolution of a training pass were tried and left: cnn_mnist with batch 16 or 32 takes 1.2 of the
processor time and 2.5 times the memory. They only looked faster where the system is slow at handing out memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from netspec.graph.ops.products import Pairs, SamePadding, same_pairs, window_size
from netspec_jax.windows import pad, shifted, window_counts

# A gradient by patches pays up to this many bytes of them; above that they cost more in memory than they save.
MAX_PATCH_BYTES = 16 << 20
# Convolutions in groups have no fast gradient of XLA to go back to: here the limit is what a machine has to spare.
MAX_GROUPED_BYTES = 256 << 20
# Up to this many groups are convolutions of their own; more of them take too long to compile.
MAX_SPLIT = 4


class Window(NamedTuple):
    """How a kernel slides: one entry for each spatial dimension."""

    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]


def convolution(
    x: Any,
    weight: Any,
    *,
    stride: tuple[int, ...],
    padding: Pairs | SamePadding,
    dilation: tuple[int, ...],
    groups: int,
    channels_last: bool,
) -> Any:
    """Cross-correlation, as ops.Convolution says it."""
    if not channels_last:
        x, weight = jnp.moveaxis(x, 1, -1), jnp.moveaxis(weight, (0, 1), (-1, -2))
    if isinstance(padding, str):
        windows = [window_size(k, d) for k, d in zip(weight.shape[:-2], dilation, strict=True)]
        lower = padding == "same_lower"
        padding = tuple(same_pairs(*sizes, lower) for sizes in zip(x.shape[1:-1], windows, stride, strict=True))
    y = convolve(x, weight, Window(stride, padding, dilation), groups)
    return y if channels_last else jnp.moveaxis(y, -1, 1)


def convolve(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """Cross-correlation of channels-last x and `[*kernel, in / groups, out]`."""
    if groups == 1:
        return _dense(x, weight, window)
    if groups == x.shape[-1]:
        return _depthwise(x, weight, window)
    return _grouped(x, weight, window, groups)


def _dense(x: Any, weight: Any, window: Window) -> Any:
    """XLA's convolution, but a product of matrices for 1x1 (0.5) and for a kernel larger than x (3x3 on 2x2: 0.02)."""
    kernel = weight.shape[:-2]
    if math.prod(kernel) == 1 or _exceeds(kernel, x.shape[1:-1]):
        return _by_patches(x, weight, window)
    if len(kernel) == 3:
        return _by_slices(x, weight, window)
    return _dense_native(x, weight, window)


def _by_slices(x: Any, weight: Any, window: Window) -> Any:
    """The sum over the kernel's slices of a convolution of images with each: XLA has no fast one of volumes.

    3x3x3 from 16 to 32 channels of 16x16x16 with stride 2: 0.25 of the time, and 0.04 with the gradient; with stride 1
    from 16 to 16: 0.07 and 0.13. Patches of whole volumes take 0.5 to 9 times as long as this, and 27 times the memory.
    """
    (step, *steps), (border, *borders), (spread, *spreads) = window
    padded = pad(x, (border, *((0, 0) for _ in borders)), 0.0)
    taps = weight.shape[0]
    (count,) = window_counts(x.shape[1:2], (taps,), (step,), (border,), (spread,))
    images = Window(tuple(steps), tuple(borders), tuple(spreads))
    parts = []
    for tap in range(taps):
        start = tap * spread
        met = lax.slice_in_dim(padded, start, start + (count - 1) * step + 1, step, axis=1)
        parts.append(_dense(met.reshape(-1, *met.shape[2:]), weight[tap], images))
    y = sum(parts[1:], start=parts[0])
    return y.reshape(x.shape[0], count, *y.shape[1:])


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _dense_native(x: Any, weight: Any, window: Window) -> Any:
    """XLA's convolution, with the gradient of x by patches where XLA's own falls off."""
    return _native(x, weight, window)


@functools.partial(_dense_native.defjvp, symbolic_zeros=True)
def _dense_native_jvp(window: Window, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """The output is linear in x and in the weight, and the gradient is the transpose of the form that stands here.

    XLA's gradient of x slides the kernel over the output: the same cliff where the kernel is larger than that (3x3 with
    stride 2 on 4x4: 0.03). It also turns the whole kernel around first, which costs most where the kernel has more
    numbers than the output (512 channels of 7x7, batch 2: 0.45). Its gradient of the weight has no such place.
    """
    (x, weight), (dx, dweight) = primals, tangents
    y = _dense_native(x, weight, window)
    parts = []
    if not isinstance(dx, SymbolicZero):
        kernel = weight.shape[:-2]
        cliff = _exceeds(kernel, window_counts(x.shape[1:-1], kernel, *window))
        heavy = weight.size > y.size and _patch_bytes(x, weight, window) <= MAX_PATCH_BYTES
        parts.append((_by_patches if cliff or heavy else _native)(dx, weight, window))
    if not isinstance(dweight, SymbolicZero):
        parts.append(_native(x, dweight, window))
    return y, sum(parts) if parts else jnp.zeros_like(y)


def _exceeds(kernel: Sequence[int], sizes: Sequence[int]) -> bool:
    return any(k > size for k, size in zip(kernel, sizes, strict=True))


def _native(x: Any, weight: Any, window: Window, groups: int = 1) -> Any:
    """lax.conv_general_dilated, for any number of spatial dimensions; with more padding in front than it can be given.

    XLA reads beyond x in float32 on a CPU (jaxlib 0.10) where it is given padding that is negative in front and
    positive behind. That is asked of it where a transposed convolution is cut off in front, and in the gradient of
    a convolution with padding of the kernel's size or more: there x is cut off, or padded, beforehand.
    """
    reach = [window_size(k, d) - 1 for k, d in zip(weight.shape[:-2], window.dilation, strict=True)]
    before = [
        (begin, end) if begin < 0 else (max(begin - most, 0), 0)
        for (begin, end), most in zip(window.padding, reach, strict=True)
    ]
    left = [(begin - first, end - last) for (begin, end), (first, last) in zip(window.padding, before, strict=True)]
    spatial = "DHW"[-len(window.stride) :]
    layout = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    return lax.conv_general_dilated(
        pad(x, tuple(before), 0.0),
        weight,
        window.stride,
        left,
        rhs_dilation=window.dilation,
        dimension_numbers=layout,
        feature_group_count=groups,
    )


def _by_patches(x: Any, weight: Any, window: Window) -> Any:
    """A matrix of all windows (im2col) times the kernel as a matrix."""
    patches = jnp.concatenate(shifted(x, weight.shape[:-2], *window), axis=-1)
    y = patches.reshape(-1, patches.shape[-1]) @ weight.reshape(-1, weight.shape[-1])
    return y.reshape(*patches.shape[:-1], weight.shape[-1])


def _patch_bytes(x: Any, weight: Any, window: Window) -> int:
    *kernel, in_channels, _ = weight.shape
    windows = math.prod(window_counts(x.shape[1:-1], kernel, *window))
    return x.shape[0] * windows * math.prod(kernel) * in_channels * x.dtype.itemsize


def _depthwise(x: Any, weight: Any, window: Window) -> Any:
    """One kernel (or several) for each channel: the sum over the kernel of shifted input times a weight.

    0.15 of the time for 3x3 on 96 channels of 28x28 with the gradient (0.02 without), and 0.03 with stride 2.
    """
    *kernel, _, out_channels = weight.shape
    channels = x.shape[-1]
    weights = weight.reshape(-1, channels, out_channels // channels)
    slices = shifted(x, kernel, *window)
    if out_channels == channels:
        return sum(moved * weights[place, :, 0] for place, moved in enumerate(slices))
    y = sum(moved[..., None] * weights[place] for place, moved in enumerate(slices))
    return y.reshape(*y.shape[:-2], out_channels)


def _grouped(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """Each group of channels on its own: 0.01 of the time for 32 groups of 4 channels of 14x14.

    A convolution for each group runs as fast as one product over all groups, but compiles 20 times as long.
    """
    if groups > MAX_SPLIT and _patch_bytes(x, weight, window) * groups <= MAX_GROUPED_BYTES:
        return _groups_by_patches(x, weight, window, groups)
    parts = zip(jnp.split(x, groups, axis=-1), jnp.split(weight, groups, axis=-1), strict=True)
    return jnp.concatenate([_dense(part, kernel, window) for part, kernel in parts], axis=-1)


def _groups_by_patches(x: Any, weight: Any, window: Window, groups: int) -> Any:
    """The groups in front, as part of the batch; then one product of matrices for each of them."""
    *kernel, in_channels, out_channels = weight.shape
    apart = jnp.moveaxis(x.reshape(*x.shape[:-1], groups, in_channels), -2, 0)
    patches = jnp.concatenate(shifted(apart.reshape(-1, *apart.shape[2:]), kernel, *window), axis=-1)
    kernels = jnp.moveaxis(weight.reshape(-1, groups, out_channels // groups), 1, 0)
    y = jnp.matmul(patches.reshape(groups, -1, patches.shape[-1]), kernels)
    return jnp.moveaxis(y, 0, 1).reshape(x.shape[0], *patches.shape[1:-1], out_channels)
