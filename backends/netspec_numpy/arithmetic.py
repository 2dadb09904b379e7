"""Powers, products, cumulative sums, types and random numbers in NumPy: forwards, and what flows back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from netspec.graph import ops
from netspec_numpy.windows import Array

Arrays = Sequence[Array]
Cotangents = tuple[Array | None, ...]
Axes = tuple[int, ...]


def _cast(x: Array, *like: Array, dtype: str) -> Array:
    """A float stays in 64 bits here: the interpreter gives it the model's type."""
    return np.asarray(x).astype("float64" if dtype == "float" else dtype)


def _prod(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.asarray(np.prod(x, axis=axes, keepdims=keepdims))


def _min(x: Array, axes: Axes, keepdims: bool) -> Array:
    return np.asarray(np.min(x, axis=axes, keepdims=keepdims))


def _argmax(x: Array, axes: Axes, keepdims: bool) -> Array:
    """The first of equals."""
    (axis,) = axes
    return np.asarray(np.argmax(x, axis, keepdims=keepdims))


def _normal(x: Array) -> Array:
    return np.random.default_rng().standard_normal(x.shape).astype(x.dtype)


def _uniform(x: Array) -> Array:
    return np.random.default_rng().random(x.shape).astype(x.dtype)


ARITHMETIC: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Pow: np.power,
    ops.Cast: _cast,
    ops.Prod: _prod,
    ops.Min: _min,
    ops.ArgMax: _argmax,
    ops.Cumsum: np.cumsum,
    ops.Normal: _normal,
    ops.Uniform: _uniform,
}


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """The sum of `dy` over all axes along which an input of `shape` was repeated."""
    if dy.shape == shape:
        return dy
    return np.asarray(dy.sum(axis=repeated_axes(dy.shape, shape), keepdims=True).reshape(shape))


def repeated_axes(whole: tuple[int, ...], shape: tuple[int, ...]) -> Axes:
    """The axes of `whole` along which an input of `shape` was repeated."""
    extra = len(whole) - len(shape)
    repeated = (axis + extra for axis, size in enumerate(shape) if size == 1 and whole[axis + extra] > 1)
    return (*range(extra), *repeated)


def over(reduced: Array, x: Array, axes: Axes) -> Array:
    """What was reduced over `axes`, with those axes as 1, so that it broadcasts against x."""
    return reduced.reshape([1 if axis in axes else size for axis, size in enumerate(x.shape)])


def extremum_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axes: Axes, keepdims: bool) -> Cotangents:
    """Of the largest or smallest: split evenly among equals."""
    (dy,), (x,), (y,) = dys, xs, ys
    chosen = x == over(y, x, axes)
    share = over(dy, x, axes) / chosen.sum(axis=axes, keepdims=True, dtype=x.dtype)
    return (np.where(chosen, share, 0),)


def _pow_vjp(dys: Arrays, xs: Arrays, ys: Arrays) -> Cotangents:
    """da = dy b a^(b-1), 0 where b is 0; db = dy y ln a where a > 0, else 0."""
    (dy,), (a, b), (y,) = dys, xs, ys
    da = np.where(b == 0, 0, dy * b * a ** np.where(b == 0, 1, b - 1))
    db = np.where(a > 0, dy * y * np.log(np.where(a > 0, a, 1)), 0)
    return unbroadcast(da, a.shape), unbroadcast(db, b.shape)


def _prod_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axes: Axes, keepdims: bool) -> Cotangents:
    """For each factor the product of those before it times that of those behind it: nothing is divided by zero."""
    (dy,), (x,) = dys, xs
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = np.transpose(x, (*kept, *axes))
    flat = moved.reshape(*moved.shape[: len(kept)], -1)
    others = _before(flat) * _before(flat[..., ::-1])[..., ::-1]
    flow = others.reshape(moved.shape).transpose(np.argsort((*kept, *axes)))
    return (over(dy, x, axes) * flow,)


def _before(x: Array) -> Array:
    """The product of all that stands before each element along the last axis; 1 before the first."""
    return np.concatenate([np.ones_like(x[..., :1]), np.cumprod(x[..., :-1], -1)], -1)


def _cumsum_vjp(dys: Arrays, xs: Arrays, ys: Arrays, axis: int) -> Cotangents:
    """x[k] is in y[k] and all behind it."""
    return (np.flip(np.cumsum(np.flip(dys[0], axis), axis), axis),)


ARITHMETIC_VJPS: dict[type[ops.Op], Callable[..., Cotangents]] = {
    ops.Pow: _pow_vjp,
    ops.Prod: _prod_vjp,
    ops.Max: extremum_vjp,
    ops.Min: extremum_vjp,
    ops.Cumsum: _cumsum_vjp,
}
