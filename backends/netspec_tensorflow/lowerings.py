"""What each primitive is on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from netspec.graph import ops
from netspec_tensorflow.arithmetic import ARITHMETIC
from netspec_tensorflow.branches import BRANCHES
from netspec_tensorflow.control import CONTROL
from netspec_tensorflow.convolution import convolution
from netspec_tensorflow.movement import MOVEMENT
from netspec_tensorflow.pooling import adaptive_average_pool, adaptive_max_pool, average_pool, max_pool
from netspec_tensorflow.repeating import repeating
from netspec_tensorflow.transposed_convolution import transposed_convolution
from netspec_tensorflow.waves import sin_cos


def constant(value: float | int | bool, dtype: str) -> float | int | bool:
    """The number itself: the model gives it its float type, which a table does not know."""
    return value


def matmul(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """A matrix on the right takes all rows of `a` at once: with a batch of products, the gradient of `b` would be made
    for each of them and then summed."""
    if len(b.shape) == 2 < len(a.shape):
        return tf.tensordot(a, b, 1)
    return tf.matmul(a, b)


def maximum(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """tf.maximum, but of two equals each gets half of the gradient; TensorFlow's own gives all of it to `a`."""
    if a.dtype.is_integer:
        BRANCHES.took("maximum-of-integers")
        return tf.maximum(a, b)
    BRANCHES.took("maximum-of-floats")
    return tf.where(a > b, a, tf.where(a < b, b, 0.5 * a + 0.5 * b))


def minimum(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """tf.minimum with the gradient of `maximum`."""
    if a.dtype.is_integer:
        BRANCHES.took("minimum-of-integers")
        return tf.minimum(a, b)
    BRANCHES.took("minimum-of-floats")
    return tf.where(a < b, a, tf.where(a > b, b, 0.5 * a + 0.5 * b))


def bernoulli(x: tf.Tensor, keep: float) -> tf.Tensor:
    """1 with probability `keep`, else 0. Drawn in float32 for every type: float16 has 1024 numbers in [0.5, 1)."""
    return tf.cast(tf.random.uniform(tf.shape(x)) < keep, x.dtype)


def element_count(x: tf.Tensor, axes: tuple[int, ...]) -> tf.Tensor:
    """The product of sizes, in the type of x."""
    return tf.cast(tf.reduce_prod(tf.gather(tf.shape(x), axes)), x.dtype)


def array(values: tuple[Any, ...], shape: tuple[int, ...], dtype: str) -> tf.Tensor:
    """Floats in 64 bits: the model gives them its float type."""
    return tf.constant(values, tf.float64 if dtype == "float" else dtype, shape)


def arange(start: Any, end: Any, step: int, dtype: str) -> tf.Tensor:
    """Sizes of a call have 32 bits."""
    return tf.range(tf.cast(start, dtype), tf.cast(end, dtype), step)


def select(x: tf.Tensor, axis: int, index: int) -> tf.Tensor:
    return x[(*[slice(None)] * axis, index)]


def top_k(x: tf.Tensor, k: int, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The kernel knows the last axis only; its gradient fails where it is asked for indices of 64 bits."""
    rank = len(x.shape)
    there = [*range(axis), *range(axis + 1, rank), axis]
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    values, indices = tf.math.top_k(x if axis == rank - 1 else tf.transpose(x, there), k)
    if axis < rank - 1:
        values, indices = tf.transpose(values, back), tf.transpose(indices, back)
    return values, tf.cast(indices, tf.int64)


def sequence_mask(x: tf.Tensor, size: Any) -> tf.Tensor:
    return tf.sequence_mask(x, size)


def one_hot(x: tf.Tensor, size: Any) -> tf.Tensor:
    return tf.equal(x[..., tf.newaxis], tf.range(tf.cast(size, x.dtype)))


LOWERINGS: dict[type[ops.Op], Callable[..., Any]] = {
    **ARITHMETIC,
    ops.Constant: constant,
    ops.Exp: tf.exp,
    ops.Log: tf.math.log,
    ops.Expm1: tf.math.expm1,
    ops.Log1p: tf.math.log1p,
    ops.Sin: tf.sin,
    ops.Cos: tf.cos,
    ops.Sqrt: tf.sqrt,
    ops.Rsqrt: tf.math.rsqrt,
    ops.Tanh: tf.tanh,
    ops.Sigmoid: tf.sigmoid,
    ops.Erf: tf.math.erf,
    ops.Relu: tf.nn.relu,
    ops.Abs: tf.abs,
    ops.StopGradient: tf.stop_gradient,
    ops.Add: repeating(tf.add),
    ops.Sub: repeating(tf.subtract),
    ops.Mul: repeating(tf.multiply),
    ops.Div: tf.divide,
    ops.Maximum: maximum,
    ops.Minimum: minimum,
    ops.Greater: tf.greater,
    ops.Equal: tf.equal,
    ops.And: tf.logical_and,
    ops.Or: tf.logical_or,
    ops.Not: tf.logical_not,
    ops.Where: tf.where,
    ops.Bernoulli: bernoulli,
    ops.Array: array,
    ops.Arange: arange,
    ops.Expand: tf.broadcast_to,
    ops.Matmul: matmul,
    ops.Einsum: lambda *xs, equation: tf.einsum(equation, *xs),
    ops.Convolution: convolution,
    ops.TransposedConvolution: transposed_convolution,
    ops.MaxPool: max_pool,
    ops.AveragePool: average_pool,
    ops.AdaptiveAveragePool: adaptive_average_pool,
    ops.AdaptiveMaxPool: adaptive_max_pool,
    ops.Sum: lambda x, *, axes, keepdims: tf.reduce_sum(x, axis=axes, keepdims=keepdims),
    ops.Mean: lambda x, *, axes, keepdims: tf.reduce_mean(x, axis=axes, keepdims=keepdims),
    ops.Max: lambda x, *, axes, keepdims: tf.reduce_max(x, axis=axes, keepdims=keepdims),
    ops.ElementCount: element_count,
    ops.NumberLike: lambda x, *, value: tf.constant(value, x.dtype),
    ops.Positions: lambda x, *, axis: tf.range(tf.shape(x, tf.int64)[axis]),
    ops.SinCos: sin_cos,
    ops.Reshape: tf.reshape,
    ops.Permute: lambda x, *, axes: tf.transpose(x, perm=axes),
    ops.Concat: lambda *xs, axis: tf.concat(xs, axis=axis),
    **MOVEMENT,
    ops.Select: select,
    ops.TopK: top_k,
    ops.OneHot: one_hot,
    ops.SequenceMask: sequence_mask,
    **CONTROL,
}
