"""Powers, products, cumulative sums, types and random numbers on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from netspec.graph import ops


def power(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """tf.pow, whose derivatives are NaN at 0^0, and there and at negative `a` not what the primitive says."""
    number = tf.get_static_value(b)
    if number is not None and not number.shape:
        return tf.ones_like(a) if number == 0 else tf.pow(a, b)
    base = tf.where(tf.equal(a, 0) & tf.equal(b, 0), tf.ones_like(a), a)
    return tf.pow(base, tf.where(tf.greater(a, 0), b, tf.stop_gradient(b)))


def cast(x: tf.Tensor, like: tf.Tensor | None = None, *, dtype: str) -> tf.Tensor:
    """A float has the type of `like`."""
    return tf.cast(x, dtype if like is None else like.dtype)


def widen(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32) if x.dtype.size < tf.float32.size else x


def argmax(x: tf.Tensor, axes: tuple[int, ...], keepdims: bool) -> tf.Tensor:
    index = tf.argmax(x, axes[0], tf.int64)
    return tf.expand_dims(index, axes[0]) if keepdims else index


ARITHMETIC: dict[type[ops.Op], Callable[..., Any]] = {
    ops.Pow: power,
    ops.Cast: cast,
    ops.Widen: widen,
    ops.Narrow: lambda x, like: tf.cast(x, like.dtype),
    ops.Prod: lambda x, *, axes, keepdims: tf.reduce_prod(x, axis=axes, keepdims=keepdims),
    ops.Min: lambda x, *, axes, keepdims: tf.reduce_min(x, axis=axes, keepdims=keepdims),
    ops.ArgMax: argmax,
    ops.Cumsum: lambda x, *, axis: tf.cumsum(x, axis),
    ops.Normal: lambda x: tf.random.normal(tf.shape(x), dtype=x.dtype),
    ops.Uniform: lambda x: tf.random.uniform(tf.shape(x), dtype=x.dtype),
}
