"""Cutting, turning round, surrounding and picking along an axis, in JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from netspec.graph import ops


def _slice(x: Any, *, axis: int, begin: int, end: int, step: int) -> Any:
    return jax.lax.slice_in_dim(x, begin, end, step, axis)


def _pad(x: Any, *, padding: Sequence[tuple[int, int]], value: float) -> Any:
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), [(begin, end, 0) for begin, end in padding])


def _gather(table: Any, indices: Any, *, axis: int) -> Any:
    """Indices are in range: the model checked them. `clip` spares the second pass that would put NaN for the others."""
    return jnp.take(table, indices, axis=axis, mode="clip")


def _gather_along(x: Any, indices: Any, *, axis: int) -> Any:
    return jnp.take_along_axis(x, indices, axis, mode="clip")


MOVEMENT: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Slice: _slice,
    ops.Flip: lambda x, *, axes: jnp.flip(x, axes),
    ops.Pad: _pad,
    ops.Gather: _gather,
    ops.GatherAlong: _gather_along,
}
