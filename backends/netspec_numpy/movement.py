"""Cutting, turning round, surrounding and picking along an axis: forwards, and what flows back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netspec.graph import ops
from netspec_numpy.windows import Array

Arrays = Sequence[Array]


def _part(axis: int, begin: int, end: int, step: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(begin, end, step))


def _slice(x: Array, axis: int, begin: int, end: int, step: int) -> Array:
    return x[_part(axis, begin, end, step)]


def _slice_vjp(dys: Arrays, xs: Arrays, ys: Arrays, **attributes: int) -> tuple[Array]:
    dx = np.zeros_like(xs[0])
    dx[_part(**attributes)] = dys[0]
    return (dx,)


def _flip(x: Array, axes: tuple[int, ...]) -> Array:
    return np.flip(x, axes)


def _flip_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axes: tuple[int, ...]) -> tuple[Array]:
    return (np.flip(dys[0], axes),)


def _pad(x: Array, padding: Sequence[tuple[int, int]], value: float) -> Array:
    return np.pad(x, padding, constant_values=value)


def _pad_vjp(dys: Arrays, xs: Arrays, ys: Arrays, padding: Sequence[tuple[int, int]], value: float) -> tuple[Array]:
    sizes = zip(padding, xs[0].shape, strict=True)
    return (dys[0][tuple(slice(begin, begin + size) for (begin, _), size in sizes)],)


def _gather(table: Array, indices: Array, axis: int) -> Array:
    return np.asarray(np.take(table, indices, axis))


def _gather_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axis: int) -> tuple[Array, None]:
    """What was read several times gets the sum."""
    table, indices = xs
    dtable = np.zeros_like(table)
    places: Any = (*[slice(None)] * axis, indices)
    np.add.at(dtable, places, dys[0])
    return dtable, None


def _gather_along(x: Array, indices: Array, axis: int) -> Array:
    return np.take_along_axis(x, indices, axis)


def _gather_along_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axis: int) -> tuple[Array, None]:
    x, indices = xs
    dx = np.zeros_like(x)
    sizes = [indices.shape[axis] if each == axis else size for each, size in enumerate(x.shape)]
    places = list(np.ogrid[tuple(slice(size) for size in sizes)])
    places[axis] = indices
    np.add.at(dx, tuple(places), dys[0])
    return dx, None


MOVEMENT: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Slice: _slice,
    ops.Flip: _flip,
    ops.Pad: _pad,
    ops.Gather: _gather,
    ops.GatherAlong: _gather_along,
}

MOVEMENT_VJPS: dict[type[ops.Op], Callable[..., tuple[Array | None, ...]]] = {
    ops.Slice: _slice_vjp,
    ops.Flip: _flip_vjp,
    ops.Pad: _pad_vjp,
    ops.Gather: _gather_vjp,
    ops.GatherAlong: _gather_along_vjp,
}
