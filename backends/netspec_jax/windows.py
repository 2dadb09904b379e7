"""A window that slides over `[batch, *spatial, channels]`, as one strided slice for each place in the window."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from netspec.graph.ops.products import Pairs, window_size


def window_counts(
    spatial: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> tuple[int, ...]:
    """How many windows there are along each spatial dimension."""
    return tuple(
        (size + sum(pads) - window_size(k, d)) // s + 1
        for size, k, s, pads, d in zip(spatial, kernel, stride, padding, dilation, strict=True)
    )


def pad(x: Any, padding: Pairs, value: float) -> Any:
    """`x` with `value` around its spatial dimensions."""
    if not any(map(any, padding)):
        return x
    edges = ((0, 0, 0), *((begin, end, 0) for begin, end in padding), (0, 0, 0))
    return lax.pad(x, jnp.asarray(value, x.dtype), edges)


def shifted(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pairs,
    dilation: Sequence[int],
    fill: float = 0.0,
) -> list[Any]:
    """For each place in the window, in row-major order, that element of all windows: `[batch, *windows, channels]`."""
    counts = window_counts(x.shape[1:-1], kernel, stride, padding, dilation)
    padded = pad(x, padding, fill)
    slices = []
    for place in itertools.product(*(range(k) for k in kernel)):
        starts = [offset * d for offset, d in zip(place, dilation, strict=True)]
        limits = [start + (count - 1) * s + 1 for start, count, s in zip(starts, counts, stride, strict=True)]
        bounds = (0, *starts, 0), (x.shape[0], *limits, x.shape[-1])
        slices.append(lax.slice(padded, *bounds, (1, *stride, 1)))
    return slices
