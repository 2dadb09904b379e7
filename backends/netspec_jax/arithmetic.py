"""Powers, products, extremes, cumulative sums, types and random numbers on JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from netspec.graph import ops


def power(a: Any, b: Any) -> Any:
    """jnp.power, whose derivatives are NaN at 0^0, and that by the exponent at negative `a`.

    A whole number as exponent becomes products, and one over them.
    """
    if isinstance(b, (int, float)):
        return jax.lax.integer_pow(a, int(b)) if float(b).is_integer() and abs(b) < 64 else jnp.power(a, b)
    base = jnp.where((a == 0) & (b == 0), 1, a)
    return jnp.power(base, jnp.where(a > 0, b, jax.lax.stop_gradient(b)))


def cast(x: Any, like: Any = None, *, dtype: str) -> Any:
    """A float has the type of `like`; int64 is int32 where JAX has no 64-bit numbers."""
    return x.astype(jax.dtypes.canonicalize_dtype(dtype) if like is None else like.dtype)


def argmax(x: Any, *, axes: tuple[int, ...], keepdims: bool) -> Any:
    return jnp.argmax(x, axes[0], keepdims=keepdims)


def extreme(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """jnp.max or jnp.min, whose gradient compares x with what was found in it.

    XLA may compute x twice, in two fused loops and with other roundings: then nothing in the second is equal to the
    largest of the first, and the gradient is 0 / 0. Seen without LLVM's optimiser; behind a barrier x is computed once.
    """

    @partial(jax.custom_jvp, nondiff_argnums=(1, 2))
    def reduced(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        return reduce(x, axes, keepdims=keepdims)

    @reduced.defjvp
    def _(axes: tuple[int, ...], keepdims: bool, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
        x = jax.lax.optimization_barrier(primals[0])
        found = reduced(x, axes, True)
        equal = x == found
        tangent = jnp.where(equal, tangents[0], 0).sum(axes, keepdims=True) / equal.sum(axes, keepdims=True)
        dropped = () if keepdims else axes
        return jnp.squeeze(found, dropped), jnp.squeeze(tangent.astype(x.dtype), dropped)

    return lambda x, *, axes, keepdims: reduced(x, axes, keepdims)


def extreme_of_two(choose: Callable[[Any, Any], Any], before: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """jnp.maximum or jnp.minimum, whose gradient compares each of the two with what was chosen: see `extreme`.

    Here they are compared with each other, by `before`. Of two equals each gets half.
    """

    @jax.custom_jvp
    def chosen(a: Any, b: Any) -> Any:
        return choose(a, b)

    @chosen.defjvp
    def _(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
        (a, b), (da, db) = primals, tangents
        return chosen(a, b), jnp.where(before(a, b), da, jnp.where(a == b, (da + db) / 2, db))

    return chosen


ARITHMETIC: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Pow: power,
    ops.Cast: cast,
    ops.Widen: lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32)),
    ops.Narrow: lambda x, like: x.astype(like.dtype),
    ops.Prod: lambda x, *, axes, keepdims: jnp.prod(x, axes, keepdims=keepdims),
    ops.Maximum: extreme_of_two(jnp.maximum, jnp.greater),
    ops.Minimum: extreme_of_two(jnp.minimum, jnp.less),
    ops.Max: extreme(jnp.max),
    ops.Min: extreme(jnp.min),
    ops.ArgMax: argmax,
    ops.Cumsum: lambda x, *, axis: jnp.cumsum(x, axis),
    # `key` is bound by the pass, as that of bernoulli.
    ops.Normal: lambda x, *, key: jax.random.normal(key, x.shape, x.dtype),
    ops.Uniform: lambda x, *, key: jax.random.uniform(key, x.shape, x.dtype),
}
