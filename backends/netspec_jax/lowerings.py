"""The table of JAX: every primitive and the native function that computes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from netspec.errors import BackendError
from netspec.graph import ops
from netspec_jax.arithmetic import ARITHMETIC
from netspec_jax.control import CONTROL
from netspec_jax.convolution import convolution
from netspec_jax.movement import MOVEMENT
from netspec_jax.pooling import adaptive_average_pool, adaptive_max_pool, average_pool, max_pool
from netspec_jax.repeating import repeating
from netspec_jax.transposed_convolution import transposed_convolution
from netspec_jax.waves import sin_cos


def constant(*, value: float | int | bool, dtype: str) -> float | int | bool:
    """The number itself: the pass gives it the model's float type, which a table does not know."""
    return value


def matmul(a: Any, b: Any) -> Any:
    """With one matrix for all leading dimensions of `a`, one product of two matrices.

    XLA on CPU is slow at the weight gradient of a product with three dimensions: a GPT takes 0.64 of the time this way.
    """
    if b.ndim == 2 and a.ndim > 2:
        return jnp.matmul(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
    return jnp.matmul(a, b)


def absolute(x: Any) -> Any:
    """Not jnp.abs, whose derivative at 0 is 1."""
    return x * jnp.sign(x)


def element_count(x: Any, *, axes: tuple[int, ...]) -> Any:
    return jnp.asarray(math.prod(x.shape[axis] for axis in axes), x.dtype)


def bernoulli(x: Any, *, keep: float, key: jax.Array) -> Any:
    """`key` is bound by the pass: another one for each random primitive of the graph."""
    return jax.random.bernoulli(key, keep, x.shape).astype(x.dtype)


def array(*, values: tuple[Any, ...], shape: tuple[int, ...], dtype: str) -> Any:
    """Of JAX's own integers, which have 32 bits unless the user asks for 64: a number that does not fit is refused.

    The pass gives floats the model's type.
    """
    exact = np.reshape(np.array(values, None if dtype == "float" else dtype), shape)
    held = exact.astype(jax.dtypes.canonicalize_dtype(exact.dtype))
    if dtype != "float" and not np.array_equal(held, exact):
        raise BackendError(f"a constant does not fit {held.dtype}: jax.config.update('jax_enable_x64', True) allows 64")
    return jnp.asarray(held)


def arange(*, start: int, end: int, step: int, dtype: str) -> Any:
    return jnp.arange(start, end, step, jax.dtypes.canonicalize_dtype(dtype))


def select(x: Any, *, axis: int, index: int) -> Any:
    return jax.lax.index_in_dim(x, index, axis, keepdims=False)


def top_k(x: Any, *, k: int, axis: int) -> tuple[Any, Any]:
    """lax.top_k knows the last axis only, and ranks 0 above -0, which are equal here."""
    last = jnp.moveaxis(x, axis, -1)
    _, indices = jax.lax.top_k(jax.lax.stop_gradient(jnp.where(last == 0, 0, last)), k)
    values = jnp.take_along_axis(last, indices, -1)
    indices = indices.astype(jax.dtypes.canonicalize_dtype("int64"))
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(indices, -1, axis)


def one_hot(x: Any, *, size: int) -> Any:
    return x[..., None] == jnp.arange(size, dtype=x.dtype)


def sequence_mask(x: Any, *, size: int) -> Any:
    return jnp.arange(size, dtype=x.dtype) < x[..., None]


def concat(*xs: Any, axis: int) -> Any:
    return jnp.concatenate(xs, axis)


LOWERINGS: dict[type[ops.Op], Callable[..., Any]] = {
    **ARITHMETIC,
    ops.Constant: constant,
    ops.Exp: jnp.exp,
    ops.Log: jnp.log,
    ops.Expm1: jnp.expm1,
    ops.Log1p: jnp.log1p,
    ops.Sin: jnp.sin,
    ops.Cos: jnp.cos,
    ops.Sqrt: jnp.sqrt,
    ops.Rsqrt: jax.lax.rsqrt,
    ops.Tanh: jnp.tanh,
    ops.Sigmoid: jax.nn.sigmoid,
    ops.Erf: jax.lax.erf,
    ops.Relu: jax.nn.relu,
    ops.Abs: absolute,
    ops.StopGradient: jax.lax.stop_gradient,
    ops.Add: repeating(jnp.add),
    ops.Sub: repeating(jnp.subtract),
    ops.Mul: repeating(jnp.multiply),
    ops.Div: jnp.divide,
    ops.Greater: jnp.greater,
    ops.Equal: jnp.equal,
    ops.And: jnp.logical_and,
    ops.Or: jnp.logical_or,
    ops.Not: jnp.logical_not,
    ops.Where: jnp.where,
    ops.Bernoulli: bernoulli,
    ops.Array: array,
    ops.Arange: arange,
    ops.Expand: jnp.broadcast_to,
    ops.Matmul: matmul,
    ops.Einsum: lambda *xs, equation: jnp.einsum(equation, *xs),
    ops.Convolution: convolution,
    ops.TransposedConvolution: transposed_convolution,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.AdaptiveAveragePool: adaptive_average_pool,
    ops.AdaptiveMaxPool: adaptive_max_pool,
    ops.Sum: lambda x, *, axes, keepdims: jnp.sum(x, axes, keepdims=keepdims),
    ops.Mean: lambda x, *, axes, keepdims: jnp.mean(x, axes, keepdims=keepdims),
    ops.ElementCount: element_count,
    ops.NumberLike: lambda x, *, value: jnp.asarray(value, x.dtype),
    ops.Positions: lambda x, *, axis: jnp.arange(x.shape[axis]),
    ops.SinCos: sin_cos,
    ops.Reshape: jnp.reshape,
    ops.Permute: jnp.transpose,
    ops.Concat: concat,
    **MOVEMENT,
    ops.Select: select,
    ops.TopK: top_k,
    ops.OneHot: one_hot,
    ops.SequenceMask: sequence_mask,
    **CONTROL,
}
